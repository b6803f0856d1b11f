/* SPDX-License-Identifier: BSD-2-Clause */
/* Stacks that were looked at before the pause. */
#include "check_rig.h"
#include "watch_rig.h"
#include "arch/time.h"
#include "core/pool.h"

#define MANY 1000u

static int setup_watch(void **state)
{
	int err = setup(state);

	watch_new(4 * MANY);
	use_ahead = true;
	return err;
}

static int after(void **state)
{
	struct pool_stats pool;

	(void)state;
	check_ahead_forget();
	guest_watch_end();
	pool_stats(&pool);
	assert_int_equal(pool.used_pages, 0);
	return 0;
}

static int look(void)
{
	return check_ahead(ranges, nr_ranges, UINT64_MAX);
}

static void look_ahead(void)
{
	assert_int_equal(watch_begin(), 0);
	assert_int_equal(look(), 0);
}

/* With nothing on its stack, as was seen before the pause. Returns its stack pointer. */
static u64 sleeps_as_seen(void)
{
	u64 sp = syn_sleep(sleeper, 256);

	look_ahead();
	assert_safe();
	assert_int_equal(report.tasks_before_pause, watch_listed);
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
	watch_switch(2, sleeper, false, 0);
	assert_blocked(100, "stack");
	/* and again before the next pause */
	assert_int_equal(look(), 0);
	assert_blocked(100, "stack");
	syn_set(sp + 64, 0);
	assert_int_equal(look(), 0);
	assert_safe();
	assert_int_equal(report.tasks_before_pause, watch_listed);
	syn_set(sp + 64, INSIDE);
	watch_switch(0, 0, false, sleeper);
	assert_blocked(100, "stack");
}

/* It stops as the dead task's successor in the same memory. */
static void another_task_in_the_same_place_is_looked_at(void **state)
{
	u64 sp = sleeps_as_seen();

	(void)state;
	watch_switch(0, sleeper, true, 0);
	assert_safe();
	syn_set(sp + 64, INSIDE);
	assert_safe();
	syn_set(sleeper + TASK_START, 4711);
	watch_switch(0, sleeper, false, 0);
	assert_blocked(100, "stack");
}

/* Each CPU has events of its own: an older one of another CPU may be taken later. */
static void who_has_died_is_not_looked_at(void **state)
{
	u64 stack = syn_stack(sleeper);

	(void)state;
	sleeps_as_seen();
	watch_switch(1, sleeper, false, 0);
	watch_switch(0, sleeper, true, 0);
	syn_set(sleeper + TASK_STACK, SYN_VMAP + 0x10000000);
	assert_safe();
	watch_switch(1, sleeper, false, 0);
	assert_safe();
	syn_set(sleeper + TASK_STACK, stack);
}

/* A task cannot be freed without having died. */
static void a_task_that_is_not_there_any_more(void **state)
{
	(void)state;
	sleeps_as_seen();
	watch_switch(1, sleeper, false, 0);
	syn_set(sleeper + TASK_START, 4711);
	assert_not_judged(-EFAULT, "is not there any more");
}

static void who_ran_when_it_was_looked_at(void **state)
{
	u64 sp = syn_sleep(sleeper, 256);

	(void)state;
	syn_set32(sleeper + TASK_ON_CPU, 1);
	look_ahead();
	syn_set32(sleeper + TASK_ON_CPU, 0);
	syn_set(sp + 64, INSIDE);
	assert_blocked(100, "stack");
}

static void who_runs_is_looked_at(void **state)
{
	u64 sp = sleeps_as_seen();

	(void)state;
	syn_set(sp + 64, INSIDE);
	syn_run(1, sleeper, 256);
	assert_blocked(100, "stack");
	/* its on_cpu says that it sleeps: where it is, is not certain */
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
	assert_int_equal(report.tasks_before_pause, watch_listed - 1);
}

/* The chain of records of arch/fake: the hit is behind it, and not in the place of an address. */
static void a_stale_hit_is_cleared_before_the_pause(void **state)
{
	u64 sp = syn_sleep(sleeper, 256), last = syn_stack_end(sleeper) - 16;

	(void)state;
	syn_set(sp, last);
	syn_set(sp + 8, SYN_TEXT + 0x10);
	syn_set(sp + 64, INSIDE);
	look_ahead();
	assert_safe();
	assert_int_equal(report.tasks_before_pause, watch_listed);
	assert_int_equal(report.words_cleared, 0);
	syn_set(sp + 8, INSIDE);
	watch_switch(0, sleeper, false, 0);
	assert_blocked(100, "stack");
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
	syn_set(node + SLOT_PAGE_INSNS, page);
	syn_list_add_tail(node, syn.hello.layout.kprobe_slots);
	assert_blocked(100, "stack");
	check_ahead_forget();
	assert_int_equal(look(), 0);
	assert_blocked(100, "stack");
	syn_set(sp + 64, 0);
	assert_int_equal(look(), 0);
	assert_safe();
	assert_int_equal(report.tasks_before_pause, watch_listed);
}

static void other_code_is_looked_for(void **state)
{
	u64 sp = sleeps_as_seen();

	(void)state;
	syn_set(sp + 64, INSIDE + 0x1000);
	add_range(FUNC_START + 0x1000, FUNC_END + 0x1000, "other");
	/* without another look all tasks are looked at */
	assert_blocked(100, "stack");
	assert_int_equal(look(), 0);
	assert_blocked(100, "stack");
	assert_string_equal(report.blocker.func, "other");
}

/* ---- a record with gaps ---- */

/* The CPU is stopped between the kernel's counter and the record. */
static void a_switch_that_is_not_recorded(void **state)
{
	u64 sp = sleeps_as_seen();

	(void)state;
	syn_set(sp + 64, INSIDE);
	watch_add(watch_counters + 16, 1);
	for (u32 i = 0; i < 2; i++) {
		assert_not_judged(-EAGAIN, "the record of who has run is not complete");
		assert_int_equal(look(), 0);
	}
	assert_not_judged(-EAGAIN, "the record of who has run is not complete");
	/* it will never be: the watch is over, and all tasks are looked at */
	assert_int_equal(look(), -ENOENT);
	assert_int_equal(guest_watch_id(), 0);
	assert_blocked(100, "stack");
	look_ahead();
	assert_blocked(100, "stack");
}

static void more_events_than_a_ring_has(void **state)
{
	u64 sp = sleeps_as_seen();

	(void)state;
	syn_set(sp + 64, INSIDE);
	watch_switch(0, sleeper, false, 0);
	for (u32 i = 0; i < SUTURE_WATCH_EVENTS; i++)
		watch_switch(0, syn.hello.layout.init_task, false, 0);
	assert_not_judged(-EOVERFLOW, "not complete");
	assert_int_equal(look(), -ENOENT);
	assert_blocked(100, "stack");
	/* events that were taken in time are not lost */
	syn_set(sp + 64, 0);
	look_ahead();
	syn_set(sp + 64, INSIDE);
	watch_switch(0, sleeper, false, 0);
	for (u32 i = 0; i < 3 * SUTURE_WATCH_EVENTS; i++) {
		watch_switch(0, syn.hello.layout.init_task, false, 0);
		if (i % 1000 == 0)
			assert_int_equal(look(), 0);
	}
	assert_blocked(100, "stack");
}

/* More tasks than can be noted. */
static void too_many_have_run(void **state)
{
	u64 sp = sleeps_as_seen();

	(void)state;
	for (u32 i = 0; i < 4096; i++)
		watch_event(i % 4, SYN_DIRECT + 64ull * i, i + 1, true);
	assert_safe();
	syn_set(sp + 64, INSIDE);
	watch_switch(0, sleeper, false, 0);
	assert_not_judged(-EFAULT, "more than 4096 tasks have run");
	assert_int_equal(look(), -ENOENT);
	assert_blocked(100, "stack");
}

static void a_watch_that_is_refused(void **state)
{
	struct suture_watch m = {
		.tasks = watch_list, .rings = watch_rings, .nr_rings = SYN_MAX_CPU_IDS - 1};

	(void)state;
	assert_int_equal(guest_watch_begin(&m), -EINVAL);
	m.nr_rings = SYN_MAX_CPU_IDS;
	m.rings = SYN_VMAP + 0x10000000;
	assert_int_equal(guest_watch_begin(&m), -EFAULT);
	assert_int_equal(guest_watch_id(), 0);
	m.rings = watch_rings;
	m.tasks = SYN_VMAP + 0x10000000;
	m.nr_tasks = 1;
	assert_int_equal(guest_watch_begin(&m), 0);
	assert_int_equal(look(), -ENOENT);
	assert_int_equal(guest_watch_id(), 0);
}

static void without_memory_all_is_left_to_the_pause(void **state)
{
	struct pool_stats pool;
	void *all;

	(void)state;
	assert_int_equal(watch_begin(), 0);
	pool_stats(&pool);
	all = pool_alloc(pool.total_pages - pool.used_pages);
	assert_non_null(all);
	assert_int_equal(look(), -ENOENT);
	pool_free(all, pool.total_pages - pool.used_pages);
	assert_safe();
	assert_int_equal(report.tasks_before_pause, 0);
}

/* ---- many ---- */

static u64 ns_of_a_check(void)
{
	const u32 rounds = 50;
	u64 start = now_ns();

	for (u32 i = 0; i < rounds; i++)
		assert_safe();
	return (now_ns() - start) / rounds;
}

/* The look goes on where its time ended, and the service CPU has time for other work. */
static void a_look_in_slices(void **state)
{
	u32 slices = 0;
	int err;

	(void)state;
	for (int i = 0; i < 100; i++)
		syn_sleep(syn_task(1000 + (u32)i, "t"), 64);
	assert_int_equal(watch_begin(), 0);
	fake_time_set(1000, 1);
	do {
		u64 until = arch_time_us() + 10;

		err = check_ahead(ranges, nr_ranges, until);
		assert_true(arch_time_us() <= until + 5);
		slices++;
	} while (err == -EAGAIN);
	assert_int_equal(err, 0);
	assert_in_range(slices, 10, 13);
	fake_time_set(1000, 0);
	assert_safe();
	assert_int_equal(report.tasks_before_pause, watch_listed);
}

/* What the pause does is the same with any number of tasks that sleep. */
static void the_pause_does_not_grow(void **state)
{
	u64 words[2], checked[2], ns[2];
	u32 made = 0;

	(void)state;
	for (u32 round = 0; round < 2; round++) {
		for (; made < (round ? MANY : 10); made++)
			syn_sleep(syn_task(1000 + made, "t"), 0x400);
		look_ahead();
		ns[round] = ns_of_a_check();
		words[round] = report.words_checked;
		checked[round] = report.tasks_checked - report.tasks_before_pause;
		printf("%u tasks sleep: the pause looks at %llu tasks and %llu words, %llu ns "
		       "(built for tests)\n",
		       made, (unsigned long long)checked[round], (unsigned long long)words[round],
		       (unsigned long long)ns[round]);
	}
	assert_int_equal(words[0], words[1]);
	assert_int_equal(checked[0], checked[1]);
}

#define AHEAD(f) cmocka_unit_test_setup_teardown(f, setup_watch, after)

int main(void)
{
	const struct CMUnitTest tests[] = {
		AHEAD(who_slept_all_the_time_is_not_looked_at_again),
		AHEAD(who_has_run_since_is_looked_at),
		AHEAD(another_task_in_the_same_place_is_looked_at),
		AHEAD(who_has_died_is_not_looked_at),
		AHEAD(a_task_that_is_not_there_any_more),
		AHEAD(who_ran_when_it_was_looked_at),
		AHEAD(who_runs_is_looked_at),
		AHEAD(a_hit_is_judged_in_the_pause),
		AHEAD(a_stale_hit_is_cleared_before_the_pause),
		AHEAD(hooked_returns_count),
		AHEAD(probes_that_came_since),
		AHEAD(other_code_is_looked_for),
		AHEAD(a_switch_that_is_not_recorded),
		AHEAD(more_events_than_a_ring_has),
		AHEAD(too_many_have_run),
		AHEAD(a_watch_that_is_refused),
		AHEAD(without_memory_all_is_left_to_the_pause),
		AHEAD(a_look_in_slices),
		AHEAD(the_pause_does_not_grow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
