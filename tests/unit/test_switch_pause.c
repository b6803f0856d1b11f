/* SPDX-License-Identifier: BSD-2-Clause */
/* How long the pause of a switch may last. */
#include "switch_rig.h"
#include "watch_rig.h"
#include "core/pause.h"

static void the_pause_is_too_short(void **state)
{
	(void)state;
	add_func("a", A, A, NEW_A);
	assert_int_equal(attempt_within(0, 0), -EAGAIN);
	assert_true(report.reason[0]);
	assert_nothing_changed();
	assert_done();
}

/* The deadline comes at every moment in turn, up to the commit; past it nothing can stop. */
static void a_deadline_at_every_step(void **state)
{
	bool at_check = false, at_commit = false;
	u64 budget;

	(void)state;
	add_func("a", A, A, NEW_A);
	fake_guest_stop();
	for (budget = 0; budget < 100; budget++) {
		fake_time_set(1000, 1);
		if (!attempt_within(budget, budget))
			break;
		at_check |= !!strstr(report.detail, "tasks checked");
		at_commit |= !!strstr(report.reason, "at the commit");
		assert_nothing_changed();
	}
	assert_true(at_check);
	assert_true(at_commit);
	assert_int_equal(target(A), NEW_A);
	assert_int_equal(report.attempts, budget + 1);
}

/*
 * What the pause has to do took some time before it: the budget follows, up to the limit. Each
 * reading of the clock is 100 us later than the one before.
 */
static void the_budget_follows_what_was_measured(void **state)
{
	(void)state;
	add_func("a", A, A, NEW_A);
	fake_guest_stop();
	cpus[2].state = CPU_GUEST; /* no thread: never comes, and the reason names the budget */
	fake_time_set(1000, 100);
	assert_int_equal(attempt_within(20, 100000), -EAGAIN);
	assert_non_null(strstr(report.reason, "400 us"));
	assert_int_equal(attempt_within(700, 100000), -EAGAIN);
	assert_non_null(strstr(report.reason, "700 us"));
	assert_int_equal(attempt_within(20, 150), -EAGAIN);
	assert_non_null(strstr(report.reason, "150 us"));
	cpus[2].state = CPU_PARKED;
}

static void a_cpu_that_does_not_stop(void **state)
{
	(void)state;
	add_func("a", A, A, NEW_A);
	fake_guest_stop();
	cpus[2].state = CPU_GUEST; /* no thread: never comes */
	assert_int_equal(attempt_within(2000, 2000), -EAGAIN);
	assert_non_null(strstr(report.reason, "2000 us"));
	assert_nothing_changed();
	cpus[2].state = CPU_PARKED;
}

/* The guest is not paused for a look at all tasks: the agent may give another record. */
static void a_record_with_a_gap_costs_no_pause(void **state)
{
	struct pause_stats before, after;

	(void)state;
	add_func("a", A, A, NEW_A);
	watch_new(100);
	assert_int_equal(watch_begin(), 0);
	for (u32 i = 0; i <= SUTURE_WATCH_EVENTS; i++)
		watch_switch(0, sleeper, false, 0);
	pause_stats(&before);
	assert_fails(-EAGAIN, "the agent's record of who has run has a gap");
	pause_stats(&after);
	assert_int_equal(after.count, before.count);
	assert_true(report.looking);
	assert_nothing_changed();
	assert_done();
	assert_false(report.looking);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_pause_is_too_short),
		TEST(a_deadline_at_every_step),
		TEST(the_budget_follows_what_was_measured),
		TEST(a_cpu_that_does_not_stop),
		TEST(a_record_with_a_gap_costs_no_pause),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
