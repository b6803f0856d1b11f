/* SPDX-License-Identifier: BSD-2-Clause */
/* The check with arm64's frame records: they say where a task is, and which words are stale. */
#include "arch/pac.h"
#include "check_rig.h"

#define SIGNED(address) ((address) ^ (0x005a000000000000ull & FAKE_PAC_MASK))
#define OUTSIDE		(SYN_TEXT + 0x3000)
#define ENTRY		(SYN_TEXT + 0x4000) /* code without records */
#define ENTRY_SIZE	0x100u
#define FINAL		32u /* from the last record to the end of the stack */
#define STEP		0x40u
#define BL		0x94000001u

/* An address that a call leaves. */
static u64 behind_call(u64 ip)
{
	syn_set32(ip - 4, BL);
	return ip;
}

static int setup_records(void **state)
{
	struct suture_layout *l = &guest_kernel.layout;

	setup(state);
	l->task_pc = TASK_PC;
	l->final_record = FINAL;
	l->nr_unrecorded = 1;
	l->unrecorded[0] = (struct suture_code){ENTRY, ENTRY + ENTRY_SIZE};
	for (u64 ip = OUTSIDE; ip <= OUTSIDE + 8; ip += 4)
		behind_call(ip);
	behind_call(INSIDE);
	return 0;
}

/* As Linux has it: struct cpu_context of a task that sleeps, fp, sp and pc. */
static u64 sleep_with(u64 used, u64 pc)
{
	u64 sp = syn_sleep(sleeper, used);

	syn_set(sleeper + TASK_SP - 8, sp);
	syn_set(sleeper + TASK_PC, pc);
	return sp;
}

/* A frame record; returns where the next one is. */
static u64 put_record(u64 at, u64 next, u64 lr)
{
	syn_set(at, next);
	syn_set(at + 8, lr);
	return next;
}

static u64 final_record(void)
{
	return syn_stack_end(sleeper) - FINAL;
}

/* STEP apart; the chain ends, as Linux has it, in a record of zeros at the top. */
static void put_chain(u64 sp, u32 count, const u64 *lrs)
{
	u64 at = sp;

	for (u32 i = 0; i < count; i++)
		at = put_record(at, i == count - 1 ? final_record() : at + STEP, lrs[i]);
	put_record(final_record(), 0, 0);
}

static const u64 outside[] = {SIGNED(OUTSIDE + 4), OUTSIDE + 8, OUTSIDE + 4};

static void assert_cleared(u32 words)
{
	assert_safe();
	assert_int_equal(report.words_cleared, words);
}

static void assert_stands(const char *where)
{
	assert_blocked(100, where);
	assert_int_equal(report.words_cleared, 0);
}

static void a_sleeping_task_is_named_with_its_stack(void **state)
{
	const u64 lrs[] = {SIGNED(OUTSIDE + 4), SIGNED(INSIDE), SIGNED(OUTSIDE + 8)};
	u64 sp = sleep_with(0x200, OUTSIDE);

	(void)state;
	put_chain(sp, 3, lrs);
	assert_blocked(100, "stack");
	assert_int_equal(report.blocker.address, INSIDE);
	assert_int_equal(report.blocker.nr_stack, 4);
	assert_int_equal(report.blocker.stack[0].address, OUTSIDE);
	assert_int_equal(report.blocker.stack[1].address, OUTSIDE + 4);
	assert_int_equal(report.blocker.stack[2].address, INSIDE);
	assert_string_equal(report.blocker.stack[2].func, "func");
	assert_int_equal(report.blocker.stack[3].address, OUTSIDE + 8);
}

/* Words between records, and those with which user mode was left. */
static void stale_words_of_a_sleeping_task(void **state)
{
	u64 sp = sleep_with(0x200, OUTSIDE);

	(void)state;
	put_chain(sp, 3, outside);
	assert_cleared(0);
	syn_set(sp + 0x18, SIGNED(INSIDE));
	syn_set(sp + 2 * STEP + 0x10, FUNC_END);
	syn_set(final_record() - 8, INSIDE);
	syn_set(syn_stack_end(sleeper) - 8, INSIDE);
	assert_cleared(4);
	for (u64 at = sp + 8; at < sp + 3 * STEP; at += STEP) {
		u64 lr = syn_get(at);

		syn_set(at, SIGNED(INSIDE));
		assert_stands("stack");
		syn_set(at, lr);
	}
	assert_cleared(4);
	/* a true one, behind the last instruction of a function that does not return */
	behind_call(FUNC_END);
	syn_set(sp + STEP + 8, FUNC_END);
	assert_stands("stack");
}

/* A record of zeros anywhere else, or one that is not zeros there. */
static void a_chain_ends_at_the_last_record_only(void **state)
{
	u64 sp = sleep_with(0x200, OUTSIDE);
	const u64 wrong[] = {final_record() - 8, final_record() + 8, final_record() + 16,
			     sp + 3 * STEP};

	(void)state;
	put_chain(sp, 3, outside);
	syn_set(sp + 0x18, INSIDE);
	for (u32 i = 0; i < ARRAY_SIZE(wrong); i++) {
		u64 next = syn_get(wrong[i]), lr = syn_get(wrong[i] + 8);

		assert_cleared(1);
		put_record(wrong[i], 0, 0);
		put_record(sp + 2 * STEP, wrong[i], OUTSIDE + 8);
		put_record(final_record(), wrong[i] > final_record() ? wrong[i] : 0, 8);
		assert_stands("stack");
		put_record(wrong[i], next, lr);
		put_record(final_record(), 0, 0);
		put_record(sp + 2 * STEP, final_record(), OUTSIDE + 8);
	}
	syn_set(final_record(), SYN_TEXT);
	assert_stands("stack");
	syn_set(final_record(), 0);
	assert_cleared(1);
	/* a kernel of which it is not known */
	guest_kernel.layout.final_record = 0;
	assert_stands("stack");
}

/* The record that an exception makes has the address that was interrupted. */
static void what_was_interrupted_may_have_no_record(void **state)
{
	const u64 lrs[] = {OUTSIDE + 4, behind_call(ENTRY + 8), OUTSIDE + 8};
	u64 sp = sleep_with(0x200, OUTSIDE);

	(void)state;
	put_chain(sp, 3, lrs);
	syn_set(sp + 2 * STEP + 0x18, INSIDE); /* the link register, perhaps */
	assert_stands("stack");
	/* but the stack is told to its end */
	assert_int_equal(report.blocker.nr_stack, 4);
	assert_int_equal(report.blocker.stack[3].address, OUTSIDE + 8);
	/* the first and the last word of such code */
	syn_set(sp + STEP + 8, behind_call(ENTRY));
	assert_stands("stack");
	syn_set(sp + STEP + 8, behind_call(ENTRY + ENTRY_SIZE));
	assert_stands("stack");
	syn_set(sp + STEP + 8, behind_call(ENTRY + ENTRY_SIZE + 4));
	assert_cleared(1);
	/* from user mode: there is nothing behind the last record */
	put_record(sp + STEP, final_record(), ENTRY + 8);
	assert_cleared(1);
}

/* As tracers leave it: the true return address is elsewhere. */
static void a_return_address_that_no_call_left(void **state)
{
	const u32 calls[] = {
		BL,	    0x97ffffff, /* backwards */
		0xd63f0000,		/* blr x0 */
		0xd63f03c0,		/* blr x30 */
		0xd63f085f,		/* blraaz x2 */
		0xd73f0c43,		/* blrab x2, x3 */
	};
	const u32 others[] = {
		0x14000001, /* b */
		0xd65f03c0, /* ret */
		0xd61f0000, /* br x0 */
		0xd61f085f, /* braaz x2 */
		0xd503201f, /* nop */
		0xd65f0bff, /* retaa */
		0,
	};
	u64 sp = sleep_with(0x200, OUTSIDE), ip = OUTSIDE + 0x100;

	(void)state;
	put_chain(sp, 3, outside);
	syn_set(sp + 0x18, INSIDE);
	syn_set(sp + STEP + 8, SIGNED(ip));
	for (u32 i = 0; i < ARRAY_SIZE(calls); i++) {
		syn_set32(ip - 4, calls[i]);
		assert_cleared(1);
	}
	for (u32 i = 0; i < ARRAY_SIZE(others); i++) {
		syn_set32(ip - 4, others[i]);
		assert_stands("stack");
	}
	/* no text of the kernel, and none that can be read */
	syn_set(sp + STEP + 8, syn_stack(sleeper));
	assert_stands("stack");
	syn_set(sp + STEP + 8, SYN_MODULE + 64);
	assert_stands("stack");
}

/* It is at its entry point, which has no call before it, and its stack is empty. */
static void a_task_that_has_not_run_yet(void **state)
{
	u64 sp = sleep_with(FINAL + 0x100, ENTRY + 0x20);

	(void)state;
	syn_set(sp + 0x18, INSIDE);
	put_record(final_record(), 0, 0);
	syn_set(sleeper + TASK_SP - 8, final_record());
	assert_cleared(1);
	put_record(sp, final_record(), OUTSIDE);
	syn_set(sleeper + TASK_SP - 8, sp);
	assert_stands("stack");
	syn_set(sleeper + TASK_PC, OUTSIDE + 0x104);
	assert_stands("stack");
	syn_set(sleeper + TASK_PC, OUTSIDE + 4);
	assert_cleared(1);
}

static u64 run_with(u64 used, u64 ip, u64 fp)
{
	u64 sp = syn_run(2, sleeper, used);

	syn.cpus[2].ctx.nr_regs = 32;
	syn.cpus[2].ctx.ip = ip;
	syn.cpus[2].ctx.regs[29] = fp;
	syn_put_context(2);
	return sp;
}

/* What is below X29 may be the innermost function's return address. */
static void stale_words_of_a_running_task(void **state)
{
	u64 sp = run_with(0x200, OUTSIDE + 0x200, 0), fp = sp + 0x30;

	(void)state;
	put_chain(fp, 3, outside);
	run_with(0x200, OUTSIDE + 0x200, fp);
	syn_set(fp + 0x18, INSIDE);
	assert_cleared(1);
	for (u64 at = sp; at < fp; at += 8) {
		u64 word = syn_get(at);

		syn_set(at, INSIDE);
		assert_stands("stack");
		syn_set(at, word);
	}
	run_with(0x200, ENTRY + 0x20, fp);
	assert_stands("stack");
	run_with(0x200, syn_stack(sleeper), fp); /* code that is not the kernel's */
	assert_stands("stack");
	run_with(0x200 - 0x38, OUTSIDE + 0x200, fp);
	assert_stands("stack");
	run_with(0x200, OUTSIDE + 0x200, fp + 8);
	assert_stands("stack");
	run_with(0x200, OUTSIDE + 0x200, fp);
	assert_cleared(1);
	syn.cpus[2].ctx.regs[30] = SIGNED(INSIDE);
	syn_put_context(2);
	assert_stands("register");
	syn.cpus[2].ctx.regs[30] = 0;
	/* on its interrupt stack, with X29 still on the task's */
	syn.cpus[2].ctx.sp = syn.cpus[2].irq + 0x100;
	syn_put_context(2);
	assert_stands("stack");
}

static void the_saved_pc_and_the_link_register(void **state)
{
	u64 sp = sleep_with(0x100, SIGNED(INSIDE));

	(void)state;
	put_chain(sp, 1, outside);
	assert_blocked(100, "saved pc");
	syn_set(sleeper + TASK_PC, OUTSIDE);
	assert_safe();

	/* a leaf function's return address is in X30 only */
	run_with(0x100, SYN_TEXT, sp);
	assert_safe();
	syn.cpus[2].ctx.regs[30] = SIGNED(INSIDE);
	syn_put_context(2);
	assert_blocked(100, "register");
	/* what an exception has interrupted, before it is on the stack: ELR_EL1 */
	syn.cpus[2].ctx.regs[30] = OUTSIDE;
	syn.cpus[2].ctx.regs[31] = INSIDE;
	syn_put_context(2);
	assert_blocked(100, "register");
}

/* Whatever X29 is. */
static void chains_that_lead_nowhere(void **state)
{
	u64 sp = sleep_with(0x200, OUTSIDE);
	const u64 wrong[] = {0,
			     1,
			     sp + 4,
			     sp,
			     sp - 8,
			     syn_stack_end(sleeper) - 8,
			     syn_stack_end(sleeper),
			     ~7ull,
			     SYN_TEXT};

	(void)state;
	syn_set(sp + 0x100, INSIDE);
	for (u32 i = 0; i < ARRAY_SIZE(wrong); i++) {
		put_record(sp, wrong[i], OUTSIDE + 4);
		assert_blocked(100, "stack");
		syn_set(sleeper + TASK_SP - 8, wrong[i]);
		assert_blocked(100, "stack");
		syn_set(sleeper + TASK_SP - 8, sp);
	}
}

/* On the stacks of overflows and of SDEI a CPU holds registers of others in places of its own. */
static void stacks_that_are_not_judged(void **state)
{
	const u64 overflow = syn.cpus[2].base + 0x800, sdei = syn_vmap(SYN_THREAD_SIZE) + 0x100;

	(void)state;
	syn_run(2, sleeper, 0x100);
	assert_safe();
	syn.cpus[2].ctx.sp = overflow;
	syn_put_context(2);
	assert_not_judged(-EFAULT, "CPU 2 runs on a stack that is not known");
	syn.cpus[2].ctx.sp = sdei;
	syn_put_context(2);
	assert_not_judged(-EFAULT, "CPU 2 runs on a stack that is not known");
}

#define TEST_RECORDS(f) cmocka_unit_test_setup(f, setup_records)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_RECORDS(a_sleeping_task_is_named_with_its_stack),
		TEST_RECORDS(stale_words_of_a_sleeping_task),
		TEST_RECORDS(a_chain_ends_at_the_last_record_only),
		TEST_RECORDS(what_was_interrupted_may_have_no_record),
		TEST_RECORDS(a_return_address_that_no_call_left),
		TEST_RECORDS(a_task_that_has_not_run_yet),
		TEST_RECORDS(stale_words_of_a_running_task),
		TEST_RECORDS(the_saved_pc_and_the_link_register),
		TEST_RECORDS(chains_that_lead_nowhere),
		TEST_RECORDS(stacks_that_are_not_judged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
