/* SPDX-License-Identifier: BSD-2-Clause */
/* The check with arm64's frame records: they say where a task is, and every hit stands. */
#include "arch/pac.h"
#include "check_rig.h"

#define SIGNED(address) ((address) ^ (0x005a000000000000ull & FAKE_PAC_MASK))
#define OUTSIDE		(SYN_TEXT + 0x3000)

/* As Linux has it: struct cpu_context of a task that sleeps, fp, sp and pc. */
static u64 sleep_with(u64 used, u64 pc)
{
	u64 sp = syn_sleep(sleeper, used);

	guest_kernel.layout.task_pc = TASK_PC;
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

/* The chain ends, as Linux has it, in a record of zeros. */
static u64 put_chain(u64 sp, u32 count, const u64 *lrs)
{
	u64 at = sp;

	for (u32 i = 0; i < count; i++)
		at = put_record(at, at + 0x40, lrs[i]);
	put_record(at, 0, 0);
	return at;
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

/* A word between two records, of a chain that ends as it should. */
static void stale_words_stand(void **state)
{
	const u64 lrs[] = {OUTSIDE + 4, OUTSIDE + 8};
	u64 sp = sleep_with(0x200, OUTSIDE);

	(void)state;
	put_chain(sp, 2, lrs);
	assert_safe();
	assert_seen(sp + 0x18, 100, "stack");
	syn_set(sp + 0x18, SIGNED(INSIDE));
	assert_blocked(100, "stack");
	assert_int_equal(report.words_cleared, 0);
}

static void the_saved_pc_and_the_link_register(void **state)
{
	u64 sp = sleep_with(0x100, SIGNED(INSIDE));

	(void)state;
	put_chain(sp, 0, NULL);
	assert_blocked(100, "saved pc");
	syn_set(sleeper + TASK_PC, OUTSIDE);
	assert_safe();

	/* a leaf function's return address is in X30 only */
	syn_run(2, sleeper, 0x100);
	syn.cpus[2].ctx.nr_regs = 32;
	syn.cpus[2].ctx.regs[29] = sp;
	syn_put_context(2);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_sleeping_task_is_named_with_its_stack),
		TEST(stale_words_stand),
		TEST(the_saved_pc_and_the_link_register),
		TEST(chains_that_lead_nowhere),
		TEST(stacks_that_are_not_judged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
