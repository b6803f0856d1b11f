/* SPDX-License-Identifier: BSD-2-Clause */
/* Stacks that were checked before the pause. */
#include "check_rig.h"
#include "core/pool.h"

static int after(void **state)
{
	struct pool_stats pool;

	(void)state;
	check_ahead_free(ahead);
	ahead = NULL;
	pool_stats(&pool);
	assert_int_equal(pool.used_pages, 0);
	return 0;
}

static void look_ahead(void)
{
	check_ahead_free(ahead);
	ahead = check_ahead(ranges, nr_ranges);
	assert_non_null(ahead);
}

/* With nothing on its stack, as was seen before the pause. Returns its stack pointer. */
static u64 sleeps_as_seen(void)
{
	u64 sp = syn_sleep(sleeper, 256);

	look_ahead();
	assert_safe();
	assert_int_equal(report.tasks_before_pause, 1);
	return sp;
}

static void who_slept_all_the_time_is_not_looked_at_again(void **state)
{
	u64 sp = syn_sleep(sleeper, 0x1000), all;

	(void)state;
	assert_safe();
	all = report.words_checked;
	look_ahead();
	assert_safe();
	assert_int_equal(report.tasks_checked, 4);
	assert_int_equal(report.tasks_before_pause, 1);
	assert_int_equal(report.words_checked, all - 0x1000 / 8 - 1); /* and its pc */
	/*
	 * so the check does not see that a stack changes without its task having run, which cannot
	 * happen
	 */
	syn_set(sp + 64, INSIDE);
	assert_safe();
}

static void who_has_run_since_is_looked_at(void **state)
{
	u64 sp = sleeps_as_seen();

	(void)state;
	syn_set(sp + 64, INSIDE);
	syn_set(sleeper + TASK_SWITCHES, 1);
	assert_blocked(100, "stack");
	syn_set(sleeper + TASK_SWITCHES, 0);
	syn_set(sleeper + TASK_SWITCHES + 8, 1);
	assert_blocked(100, "stack");
}

static void another_task_in_the_same_place_is_looked_at(void **state)
{
	u64 sp = sleeps_as_seen();

	(void)state;
	syn_set(sp + 64, INSIDE);
	syn_set(sleeper + TASK_START, 4711);
	assert_blocked(100, "stack");
}

/* The kernel counts a context switch before the task has stopped. */
static void who_was_just_going_to_sleep_is_looked_at(void **state)
{
	u64 sp = syn_sleep(sleeper, 256);

	(void)state;
	syn_set32(sleeper + TASK_ON_CPU, 1);
	look_ahead();
	syn_set32(sleeper + TASK_ON_CPU, 0);
	syn_set(sp + 64, INSIDE);
	assert_blocked(100, "stack");
	assert_int_equal(report.tasks_before_pause, 0);
}

static void who_runs_is_looked_at(void **state)
{
	u64 sp = sleeps_as_seen();

	(void)state;
	syn_set(sp + 64, INSIDE);
	syn_run(1, sleeper, 256);
	assert_blocked(100, "stack");
}

/*
 * The task's on_cpu says that it sleeps, but a CPU has it as its current task: where it is, is not
 * certain.
 */
static void who_is_a_cpus_current_task_is_looked_at(void **state)
{
	u64 sp = sleeps_as_seen();

	(void)state;
	syn_set(sp + 64, INSIDE);
	syn_run(1, sleeper, 256);
	syn_set32(sleeper + TASK_ON_CPU, 0);
	assert_blocked(100, "stack");
}

static void a_hit_is_judged_in_the_pause(void **state)
{
	u64 sp = syn_sleep(sleeper, 256);

	(void)state;
	syn_set(sp + 64, INSIDE);
	look_ahead();
	assert_blocked(100, "stack");
	syn_set(sp + 64, 0);
	assert_safe();
	assert_int_equal(report.tasks_before_pause, 0);
}

static void hooked_returns_count(void **state)
{
	u64 returns = syn_alloc(SYN_RET_DEPTH * (u64)RET_STACK_ENTRY);

	(void)state;
	syn_set(returns + RET_STACK_RET, INSIDE);
	syn_set(sleeper + TASK_RET_STACK, returns);
	syn_set32(sleeper + TASK_CURR_RET_STACK, 0);
	look_ahead();
	assert_blocked(100, "graph tracer");
}

/* A page of copied instructions that was not known when the stack was looked at. */
static void probes_that_came_since(void **state)
{
	u64 sp = syn_sleep(sleeper, 256), node = syn_alloc(64), page = SYN_MODULE + 0x5000;

	(void)state;
	syn_set(sp + 64, page + 8);
	look_ahead();
	assert_safe();
	assert_int_equal(report.tasks_before_pause, 1);
	syn_set(node + SLOT_PAGE_INSNS, page);
	syn_list_add_tail(node, syn.hello.layout.kprobe_slots);
	assert_blocked(100, "stack");
	look_ahead();
	assert_blocked(100, "stack");
	syn_set(sp + 64, 0);
	look_ahead();
	assert_safe();
	assert_int_equal(report.tasks_before_pause, 1);
}

/* The guest runs: a list that is inconsistent now may be consistent in the pause. */
static void a_list_that_is_being_changed(void **state)
{
	u64 second = syn_task(101, "second"), back, sp = syn_sleep(second, 64);

	(void)state;
	back = syn_get(second + TASK_TASKS + LIST_PREV);
	syn_set(second + TASK_TASKS + LIST_PREV, 0);
	look_ahead();
	syn_set(second + TASK_TASKS + LIST_PREV, back);
	assert_safe();
	assert_int_equal(report.tasks_before_pause, 1);
	syn_set(sp, INSIDE);
	assert_blocked(101, "stack");
}

static void a_task_that_cannot_be_read(void **state)
{
	u64 second = syn_task(101, "second"), stack = syn_stack(second);

	(void)state;
	syn_sleep(sleeper, 64);
	syn_sleep(second, 64);
	syn_set(second + TASK_STACK, SYN_VMAP + 0x10000000);
	look_ahead();
	assert_not_judged(-EFAULT, "stack of second (101) cannot be read");
	syn_set(second + TASK_STACK, stack);
	assert_safe();
	assert_int_equal(report.tasks_before_pause, 1);
}

static void without_memory_all_is_left_to_the_pause(void **state)
{
	struct pool_stats pool;
	void *all;

	(void)state;
	pool_stats(&pool);
	all = pool_alloc(pool.total_pages);
	assert_non_null(all);
	assert_null(check_ahead(ranges, nr_ranges));
	pool_free(all, pool.total_pages);
	assert_safe();
	assert_int_equal(report.tasks_before_pause, 0);
}

static u64 ns_of_a_check(void)
{
	const u32 rounds = 50;
	u64 start = now_ns();

	for (u32 i = 0; i < rounds; i++)
		assert_safe();
	return (now_ns() - start) / rounds;
}

/* The number of tasks out of many that remain for the pause. */
static void many(void **state)
{
	const u32 count = 500;
	u64 words, ns;

	(void)state;
	for (u32 i = 0; i < count; i++)
		syn_sleep(syn_task(1000 + i, "t"), 0x400);
	ns = ns_of_a_check();
	words = report.words_checked;
	look_ahead();
	printf("%u tasks: %llu words, %llu ns each in the pause; ", count,
	       (unsigned long long)words, (unsigned long long)ns / count);
	ns = ns_of_a_check();
	printf("%llu looked at before: %llu words, %llu ns each (built for tests)\n",
	       (unsigned long long)report.tasks_before_pause,
	       (unsigned long long)report.words_checked, (unsigned long long)ns / count);
	assert_true(report.tasks_before_pause > count * 99 / 100);
	assert_true(report.words_checked < words / 5);
}

#define AHEAD(f) cmocka_unit_test_setup_teardown(f, setup, after)

int main(void)
{
	const struct CMUnitTest tests[] = {
		AHEAD(who_slept_all_the_time_is_not_looked_at_again),
		AHEAD(who_has_run_since_is_looked_at),
		AHEAD(another_task_in_the_same_place_is_looked_at),
		AHEAD(who_was_just_going_to_sleep_is_looked_at),
		AHEAD(who_runs_is_looked_at),
		AHEAD(who_is_a_cpus_current_task_is_looked_at),
		AHEAD(a_hit_is_judged_in_the_pause),
		AHEAD(hooked_returns_count),
		AHEAD(probes_that_came_since),
		AHEAD(a_list_that_is_being_changed),
		AHEAD(a_task_that_cannot_be_read),
		AHEAD(without_memory_all_is_left_to_the_pause),
		AHEAD(many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
