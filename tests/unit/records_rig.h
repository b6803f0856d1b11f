/* SPDX-License-Identifier: BSD-2-Clause */
/* For tests of the check with arm64's frame records: chains on the stack of the task `sleeper`. */
#ifndef RECORDS_RIG_H
#define RECORDS_RIG_H

#include "arch/pac.h"
#include "check_rig.h"

#define SIGNED(address) ((address) ^ (0x005a000000000000ull & FAKE_PAC_MASK))
#define OUTSIDE		(SYN_TEXT + 0x3000)
#define ENTRY		(SYN_TEXT + 0x4000)
#define ENTRY_SIZE	0x100u
#define TRAMPOLINE	(SYN_TEXT + 0x5000)
#define FINAL		32u /* from the last record to the end of the stack */
#define STEP		0x40u
#define BL		0x94000001u

/* An address that a call leaves. */
static inline u64 behind_call(u64 ip)
{
	syn_set32(ip - 4, BL);
	return ip;
}

static inline int setup_records(void **state)
{
	struct suture_layout *l = &guest_kernel.layout;

	setup(state);
	l->task_pc = TASK_PC;
	l->final_record = FINAL;
	l->entry = (struct suture_code){ENTRY, ENTRY + ENTRY_SIZE};
	l->nr_trampolines = 2;
	l->trampolines[0] = (struct suture_code){TRAMPOLINE - 8, TRAMPOLINE - 4};
	l->trampolines[1] = (struct suture_code){TRAMPOLINE, TRAMPOLINE + 0x40};
	for (u64 ip = OUTSIDE; ip <= OUTSIDE + 8; ip += 4)
		behind_call(ip);
	behind_call(INSIDE);
	return 0;
}

/* As Linux has it: struct cpu_context of a task that sleeps, fp, sp and pc. */
static inline u64 sleep_with(u64 used, u64 pc)
{
	u64 sp = syn_sleep(sleeper, used);

	syn_set(sleeper + TASK_SP - 8, sp);
	syn_set(sleeper + TASK_PC, pc);
	return sp;
}

/* A frame record; returns where the next one is. */
static inline u64 put_record(u64 at, u64 next, u64 lr)
{
	syn_set(at, next);
	syn_set(at + 8, lr);
	return next;
}

static inline u64 final_record(void)
{
	return syn_stack_end(sleeper) - FINAL;
}

/* STEP apart; the chain ends, as Linux has it, in a record of zeros at the top. */
static inline void put_chain(u64 sp, u32 count, const u64 *lrs)
{
	u64 at = sp;

	for (u32 i = 0; i < count; i++)
		at = put_record(at, i == count - 1 ? final_record() : at + STEP, lrs[i]);
	put_record(final_record(), 0, 0);
}

static inline u64 run_with(u64 used, u64 ip, u64 fp)
{
	u64 sp = syn_run(2, sleeper, used);

	syn.cpus[2].ctx.nr_regs = 32;
	syn.cpus[2].ctx.ip = ip;
	syn.cpus[2].ctx.regs[29] = fp;
	syn_put_context(2);
	return sp;
}

static const u64 outside[] = {SIGNED(OUTSIDE + 4), OUTSIDE + 8, OUTSIDE + 4};

static inline void assert_cleared(u32 words)
{
	assert_safe();
	assert_int_equal(report.words_cleared, words);
}

static inline void assert_stands(const char *where)
{
	assert_blocked(100, where);
	assert_int_equal(report.words_cleared, 0);
}

#define TEST_RECORDS(f) cmocka_unit_test_setup(f, setup_records)

#endif
