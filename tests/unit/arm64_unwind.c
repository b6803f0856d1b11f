/* SPDX-License-Identifier: BSD-2-Clause */
/* The check with arm64's frame records: they say where a task is, and which words are stale. */
#include "records_rig.h"

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

/* Its caller's address is elsewhere, if need be where nobody looks any more. */
static void a_trampoline_on_the_stack(void **state)
{
	u64 sp = sleep_with(0x200, OUTSIDE);

	(void)state;
	put_chain(sp, 3, outside);
	syn_set(sp + 0x18, INSIDE);
	assert_cleared(1);
	for (u64 ip = TRAMPOLINE; ip <= TRAMPOLINE + 0x40; ip += 0x20) {
		put_record(sp + STEP, sp + 2 * STEP, SIGNED(behind_call(ip)));
		assert_stands("stack");
		/* there is no record below its own */
		put_record(sp + STEP, final_record(), ip);
		assert_stands("stack");
	}
	put_record(sp + STEP, final_record(), behind_call(TRAMPOLINE + 0x44));
	assert_cleared(1);
	run_with(0x200, TRAMPOLINE + 4, sp);
	assert_stands("stack");
	run_with(0x200, TRAMPOLINE + 0x44, sp);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_RECORDS(a_sleeping_task_is_named_with_its_stack),
		TEST_RECORDS(stale_words_of_a_sleeping_task),
		TEST_RECORDS(a_chain_ends_at_the_last_record_only),
		TEST_RECORDS(what_was_interrupted_may_have_no_record),
		TEST_RECORDS(a_trampoline_on_the_stack),
		TEST_RECORDS(a_return_address_that_no_call_left),
		TEST_RECORDS(a_task_that_has_not_run_yet),
		TEST_RECORDS(chains_that_lead_nowhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
