/* SPDX-License-Identifier: BSD-2-Clause */
/* The rule, sleeping tasks, and stacks that cannot be judged. */
#include "check_rig.h"
#include "arch/pac.h"

/* ---- the rule ---- */

static void start_is_out_and_end_is_in(void **state)
{
	u64 sp = syn_sleep(sleeper, 256);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(hits); i++) {
		syn_set(sp + 64, hits[i]);
		assert_blocked(100, "stack");
		assert_int_equal(report.blocker.address, hits[i]);
		assert_string_equal(report.blocker.func, "func");
		assert_string_equal(report.blocker.comm, "sleeper");
	}
	for (size_t i = 0; i < ARRAY_SIZE(misses); i++) {
		syn_set(sp + 64, misses[i]);
		assert_safe();
	}
}

static void many_ranges_in_any_order(void **state)
{
	static char names[500][8];
	u64 sp = syn_sleep(sleeper, 8);
	char name[32];

	(void)state;
	/* 0x40 bytes each, in steps of 0x60, every third touches the next */
	nr_ranges = 0;
	for (u32 n = 0; n < 500; n++) {
		u32 i = n * 271 % 500;
		u64 start = SYN_TEXT + 0x2000 + i * 0x60ull;

		snprintf(names[i], sizeof(names[i]), "f%u", i);
		add_range(start, start + (i % 3 ? 0x40 : 0x60), names[i]);
	}
	for (u32 i = 0; i < 500; i++) {
		u64 start = SYN_TEXT + 0x2000 + i * 0x60ull;

		snprintf(name, sizeof(name), "f%u", i);
		for (u64 offset = 0; offset <= 0x60; offset += 0x10) {
			u64 size = i % 3 ? 0x40 : 0x60;

			syn_set(sp, start + offset);
			if (!offset && (i == 0 || (i - 1) % 3)) {
				assert_safe();
			} else if (offset && offset <= size) {
				assert_blocked(100, "stack");
				assert_string_equal(report.blocker.func, name);
			} else if (offset > size) {
				assert_safe();
			}
		}
	}
}

/*
 * A word between two ranges is no hit, although it is between the lowest and the highest address.
 */
static void between_ranges(void **state)
{
	u64 sp = syn_sleep(sleeper, 8);

	(void)state;
	add_range(FUNC_END + 0x100, FUNC_END + 0x200, "second");
	syn_set(sp, FUNC_END + 1);
	assert_safe();
	syn_set(sp, FUNC_END + 0x100);
	assert_safe();
	syn_set(sp, FUNC_END + 0x101);
	assert_blocked(100, "stack");
	assert_string_equal(report.blocker.func, "second");
}

static void ranges_that_overlap(void **state)
{
	u64 sp = syn_sleep(sleeper, 8);

	(void)state;
	nr_ranges = 0;
	add_range(SYN_TEXT + 0x100, SYN_TEXT + 0x900, "outer");
	add_range(SYN_TEXT + 0x200, SYN_TEXT + 0x300, "inner");
	add_range(SYN_TEXT + 0x200, SYN_TEXT + 0x300, "alias");
	add_range(SYN_TEXT + 0x400, SYN_TEXT + 0xa00, "longer");
	for (u64 w = SYN_TEXT + 0x101; w <= SYN_TEXT + 0xa00; w++) {
		syn_set(sp, w);
		assert_int_equal(run(), -EBUSY);
	}
	syn_set(sp, SYN_TEXT + 0xa01);
	assert_safe();
	syn_set(sp, SYN_TEXT + 0x100);
	assert_safe();
}

static void no_range_is_safe(void **state)
{
	u64 sp = syn_sleep(sleeper, 8);

	(void)state;
	syn_set(sp, INSIDE);
	nr_ranges = 0;
	assert_safe();
}

static void authentication_codes_are_stripped(void **state)
{
	u64 sp = syn_sleep(sleeper, 64);

	(void)state;
	syn_set(sp + 8, INSIDE ^ (0x005a000000000000ull & FAKE_PAC_MASK));
	assert_blocked(100, "stack");
	assert_int_equal(report.blocker.address, INSIDE);
	syn_sleep(sleeper, 0);
	syn.cpus[1].ctx.nr_regs = 1;
	syn.cpus[1].ctx.regs[0] = INSIDE ^ (0xa500000000000000ull & FAKE_PAC_MASK);
	syn_put_context(1);
	assert_blocked(0, "register");
}

/* ---- tasks that sleep ---- */

static void from_the_stack_pointer_to_the_end(void **state)
{
	u64 sp = syn_sleep(sleeper, 0x1808), end = syn_stack_end(sleeper);

	(void)state;
	assert_seen(sp, 100, "stack");
	assert_seen(sp + 8, 100, "stack");
	assert_seen(ALIGN_UP(sp, PAGE_SIZE) - 8, 100, "stack");
	assert_seen(ALIGN_UP(sp, PAGE_SIZE), 100, "stack");
	assert_seen(end - 8, 100, "stack");
	assert_unseen(sp - 8);
	assert_unseen(syn_stack(sleeper));
}

static void a_stack_pointer_in_the_middle_of_a_word(void **state)
{
	u64 sp = syn_sleep(sleeper, 0x100);

	(void)state;
	syn_set(sleeper + TASK_SP, sp + 4);
	assert_seen(sp, 100, "stack");
}

/* An invalid saved stack pointer: the whole stack is searched. */
static void a_stack_pointer_outside_the_stack(void **state)
{
	u64 low = syn_stack(sleeper), high = syn_stack_end(sleeper);
	const u64 wrong[] = {0, low - 8, high + 8, ~0ull, syn.cpus[1].ctx.sp};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		syn_set(sleeper + TASK_SP, wrong[i]);
		assert_seen(low, 100, "stack");
		assert_seen(high - 8, 100, "stack");
	}
	syn_set(sleeper + TASK_SP, high);
	assert_unseen(high - 8); /* empty: nothing is above it */
}

static void all_threads_are_looked_at(void **state)
{
	u64 thread = syn_thread(sleeper, 101, "thread"), last = syn_task(102, "last");

	(void)state;
	syn_sleep(thread, 64);
	syn_sleep(last, 64);
	assert_seen(syn_stack_end(thread) - 16, 101, "stack");
	assert_seen(syn_stack_end(last) - 16, 102, "stack");
}

static void a_saved_pc(void **state)
{
	(void)state;
	guest_kernel.layout.task_pc = TASK_PC;
	assert_safe();
	for (size_t i = 0; i < ARRAY_SIZE(hits); i++) {
		syn_set(sleeper + TASK_PC, hits[i]);
		assert_blocked(100, "saved pc");
	}
	syn_set(sleeper + TASK_PC, FUNC_START);
	assert_safe();
}

/* arm64 keeps callee-saved registers in the task, not on its stack. */
static void saved_registers(void **state)
{
	u64 first = sleeper + TASK_REGS;

	(void)state;
	assert_unseen(first);
	guest_kernel.layout.task_regs = TASK_REGS;
	guest_kernel.layout.task_nr_regs = SYN_SAVED_REGS;
	assert_seen(first, 100, "saved register");
	assert_seen(first + 8ull * (SYN_SAVED_REGS - 1), 100, "saved register");
	assert_unseen(first + 8ull * SYN_SAVED_REGS);
	assert_unseen(first - 8);
	/* those of a task that runs are left from when it slept */
	syn_run(2, sleeper, 64);
	assert_unseen(first);
	syn_sleep(sleeper, 64);
	guest_kernel.layout.task_regs = 0xfffffff8;
	assert_not_judged(-EFAULT, "the saved registers of");
}

/* Return addresses that have left the frame: up to the saved pointer, and all of them in doubt. */
static void shadow_call_stacks(void **state)
{
	u64 low = syn_shadow(sleeper, 0x80), end = low + SYN_SCS_SIZE;

	(void)state;
	assert_seen(low, 100, "shadow call stack");
	assert_seen(low + 0x78, 100, "shadow call stack");
	assert_unseen(low + 0x80);
	syn_set(sleeper + TASK_SCS_SP, low);
	assert_unseen(low);
	syn_set(sleeper + TASK_SCS_SP, end);
	assert_seen(end - 8, 100, "shadow call stack");
	syn_set(sleeper + TASK_SCS_SP, end + 1);
	assert_seen(end - 8, 100, "shadow call stack");
	syn_set(sleeper + TASK_SCS_SP, low - 8);
	assert_seen(end - 8, 100, "shadow call stack");
	/* the pointer of a task that runs is in a register */
	syn_set(sleeper + TASK_SCS_SP, low);
	syn_run(2, sleeper, 64);
	assert_seen(end - 8, 100, "shadow call stack");
	syn_unmap(low);
	assert_not_judged(-EFAULT, "shadow call stack of sleeper");
	guest_kernel.layout.task_scs_base = 0xfffffff8;
	assert_not_judged(-EFAULT, "shadow call stack of");
}

/* An invalid stack: the search must end, and includes the last bytes. */
static void a_stack_that_is_not_aligned(void **state)
{
	u64 low = syn_vmap(SYN_THREAD_SIZE + PAGE_SIZE);

	(void)state;
	syn_set(sleeper + TASK_STACK, low + 4);
	syn_set(sleeper + TASK_SP, low + SYN_THREAD_SIZE - 64);
	assert_seen(low + SYN_THREAD_SIZE, 100, "stack");
	assert_unseen(low + SYN_THREAD_SIZE + 8);
	syn_set(sleeper + TASK_STACK, 0 - (u64)SYN_THREAD_SIZE - 1);
	assert_not_judged(-EFAULT, "sleeper");
	syn_set(sleeper + TASK_SP, ~0ull - 3);
	assert_not_judged(-EFAULT, "sleeper");
}

static void a_zombie_has_no_stack(void **state)
{
	(void)state;
	syn_set(sleeper + TASK_STACK, 0);
	assert_safe();
	syn_set32(sleeper + TASK_ON_CPU, 1);
	assert_not_judged(-EFAULT, "sleeper");
}

/* ---- what cannot be judged ---- */

static void a_stack_that_cannot_be_read(void **state)
{
	u64 low = syn_stack(sleeper);

	(void)state;
	syn_sleep(sleeper, 0x1100);
	syn_unmap(low);
	assert_safe(); /* below the stack pointer */
	syn_unmap(low + 3 * PAGE_SIZE);
	assert_not_judged(-EFAULT, "sleeper (100)");
	syn_set(sleeper + TASK_STACK, 0x400000);
	assert_not_judged(-EFAULT, "sleeper");
	syn_set(sleeper + TASK_STACK, ~0ull - 8);
	assert_not_judged(-EFAULT, "sleeper");
	syn_set(sleeper + TASK_STACK, SYN_DIRECT + FAKE_POOL_BASE);
	assert_not_judged(-EFAULT, "sleeper");
}

static void an_irq_stack_that_cannot_be_read(void **state)
{
	struct syn_cpu *c = &syn.cpus[2];

	(void)state;
	syn_run(2, sleeper, 0x100);
	c->ctx.sp = c->irq + 0x100;
	syn_put_context(2);
	assert_safe();
	syn_unmap(c->irq + 2 * PAGE_SIZE);
	assert_not_judged(-EFAULT, "irq stack");
	/* guard pages are expected among the exception stacks, but not only these */
	c->ctx.sp = c->entry + 0x100;
	syn_put_context(2);
	syn_set(c->base + PCPU_IRQ, syn.cpus[1].irq + SYN_IRQ_SIZE);
	assert_safe();
	for (u64 page = 0; page < SYN_EXC_SIZE; page += PAGE_SIZE)
		syn_unmap(c->exc + page);
	assert_not_judged(-EFAULT, "exception stack");
}

static void a_list_that_is_broken(void **state)
{
	(void)state;
	syn_set(sleeper + TASK_TASKS + LIST_PREV, 0);
	assert_not_judged(-ELOOP, "list");
	syn_set(syn.hello.layout.init_task + TASK_TASKS, 0x1000);
	assert_not_judged(-EFAULT, "list");
}

static void the_deadline(void **state)
{
	(void)state;
	for (u32 i = 0; i < 100; i++)
		syn_sleep(syn_task(1000 + i, "t"), 64);
	assert_safe();
	assert_int_equal(report.tasks_checked, 104);
	/* passes while it runs */
	fake_time_set(pause_.deadline_us - 5, 1);
	assert_not_judged(-ETIMEDOUT, "too short");
	assert_in_range(report.tasks_checked, 20, 60);
	/* has passed */
	fake_time_set(pause_.deadline_us, 0);
	assert_not_judged(-ETIMEDOUT, "too short");
}

static u64 random_state = 88172645463325252ull;

static u64 any(u64 below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state % below;
}

/*
 * With any content of the guest's memory the check ends with a result, and makes no access outside
 * of that memory (the fake machine and the sanitizers abort on one).
 */
static void any_memory_gets_an_answer(void **state)
{
	u32 safe = 0, not_safe = 0;

	for (u32 round = 0; round < 300; round++) {
		u64 places[16], words[16];

		setup(state);
		syn_sleep(syn_thread(sleeper, 101, "thread"), 0x300);
		for (u32 i = 0; i < 3; i++) {
			places[i] = syn.cpus[i + 1].base + PCPU_CURRENT;
			places[i + 3] = syn.cpus[i + 1].idle;
			places[i + 6] = syn_get(sleeper + TASK_SIGNAL);
			places[i + 9] = syn.hello.layout.per_cpu_offset;
			places[i + 12] = sleeper + TASK_TASKS;
		}
		places[15] = sleeper;
		for (u32 i = 0; i < 16; i++)
			words[i] = places[i];
		words[1] = 0;
		words[2] = ~0ull;
		words[3] = SYN_DIRECT + FAKE_POOL_BASE - 8;
		words[4] = INSIDE;
		words[5] = SYN_VMAP + any(1u << 20);
		words[6] = SYN_DIRECT + FAKE_RAM_BASE + any(FAKE_GUEST_RAM_SIZE);
		for (u32 i = 0; i < 20; i++) {
			const u32 span[] = {0x40, SYN_TASK_SIZE};
			u64 offset = any(span[any(2)]) & ~7ull;
			int err;

			syn_set(ALIGN_DOWN(places[any(16)], 8) + offset,
				words[any(16)] + any(2) * 8);
			err = run();
			safe += !err;
			not_safe += !!err;
			assert_true(!err || err == -EBUSY || err == -EFAULT || err == -ELOOP);
			assert_true(err != -EBUSY || report.blocker.valid);
			assert_true(!err || err == -EBUSY || report.reason[0]);
		}
	}
	assert_true(safe > 100);
	assert_true(not_safe > 100);
}

/* ---- figures ---- */

static void what_was_checked_is_counted(void **state)
{
	u64 words;

	(void)state;
	assert_safe();
	assert_int_equal(report.tasks_checked, 4); /* the sleeper and three idle tasks */
	words = report.words_checked;
	syn_sleep(sleeper, 0x2000);
	assert_safe();
	assert_int_equal(report.words_checked, words + 0x2000 / 8);
}

static void speed(void **state)
{
	const u32 rounds = 50;
	u64 start, ns, words = 0;

	(void)state;
	for (u32 i = 0; i < 200; i++) {
		u64 task = syn_task(1000 + i, "t"), at = syn_sleep(task, 0x400);

		for (; at < syn_stack_end(task); at += 8) /* one word in four is a code address */
			syn_set(at, at % 32 ? at * 1117 : SYN_TEXT + at % 0x1000);
	}
	for (u32 i = 1; i < 64; i++)
		add_range(FUNC_START + i * 0x1000, FUNC_END + i * 0x1000, "more");
	start = now_ns();
	for (u32 i = 0; i < rounds; i++) {
		assert_safe();
		words += report.words_checked;
	}
	ns = now_ns() - start;
	printf("%llu tasks, %llu words: %llu us a check, %llu words/us (built for tests)\n",
	       (unsigned long long)report.tasks_checked, (unsigned long long)report.words_checked,
	       (unsigned long long)ns / 1000 / rounds, (unsigned long long)(words * 1000 / ns));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(start_is_out_and_end_is_in),
		TEST(many_ranges_in_any_order),
		TEST(between_ranges),
		TEST(ranges_that_overlap),
		TEST(no_range_is_safe),
		TEST(authentication_codes_are_stripped),
		TEST(from_the_stack_pointer_to_the_end),
		TEST(a_stack_pointer_in_the_middle_of_a_word),
		TEST(a_stack_pointer_outside_the_stack),
		TEST(all_threads_are_looked_at),
		TEST(a_saved_pc),
		TEST(saved_registers),
		TEST(shadow_call_stacks),
		TEST(a_stack_that_is_not_aligned),
		TEST(a_zombie_has_no_stack),
		TEST(a_stack_that_cannot_be_read),
		TEST(an_irq_stack_that_cannot_be_read),
		TEST(a_list_that_is_broken),
		TEST(the_deadline),
		TEST(any_memory_gets_an_answer),
		TEST(what_was_checked_is_counted),
		TEST(speed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
