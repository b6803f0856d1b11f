/* SPDX-License-Identifier: BSD-2-Clause */
/* The check with arm64's frame records, of tasks that run: their innermost function, and registers.
 */
#include "records_rig.h"

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

/* In the first instructions of an exception's handler, X29 is what the entry has set it to. */
static void the_innermost_caller(void **state)
{
	const u64 callers[] = {ENTRY, ENTRY + 8, ENTRY + ENTRY_SIZE, TRAMPOLINE, TRAMPOLINE + 8};
	u64 sp = run_with(0x200, OUTSIDE + 0x200, 0), fp = sp + 0x30;

	(void)state;
	put_chain(fp, 3, outside);
	run_with(0x200, OUTSIDE + 0x200, fp);
	syn_set(fp + 0x18, INSIDE);
	assert_cleared(1);
	for (u32 i = 0; i < ARRAY_SIZE(callers); i++) {
		syn.cpus[2].ctx.regs[30] = SIGNED(callers[i]);
		syn_put_context(2);
		assert_stands("stack");
		syn.cpus[2].ctx.regs[30] = 0;
		syn_put_context(2);
		assert_cleared(1);
		syn_set(fp - 8, SIGNED(callers[i]));
		assert_stands("stack");
		syn_set(fp - 8, 0);
		assert_cleared(1);
	}
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
		TEST_RECORDS(stale_words_of_a_running_task),
		TEST_RECORDS(the_innermost_caller),
		TEST_RECORDS(the_saved_pc_and_the_link_register),
		TEST_RECORDS(stacks_that_are_not_judged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
