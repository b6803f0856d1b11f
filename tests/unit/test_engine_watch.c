/* SPDX-License-Identifier: BSD-2-Clause */
/* The agent's watch: when the engine asks for it, and what an attempt is. */
#include "engine_blocked.h"

static int setup_watch(void **state)
{
	int err = setup(state);
	struct rig *rig = *state;

	rig->can_watch = true;
	return err;
}

static void begin(struct rig *rig)
{
	assert_int_equal(upload(rig, &fix), 0);
	while (info(rig, "fix").phase != PHASE_PATCHING)
		settle(rig, 1);
}

/* do_sys_open blocks each attempt. */
static void begin_blocked(struct rig *rig)
{
	rig->busy = "do_sys_open";
	begin(rig);
	while (!attempts(rig))
		settle(rig, 1);
}

static void it_comes_before_the_first_attempt(void **state)
{
	struct rig *rig = *state;

	begin_blocked(rig);
	assert_int_equal(rig->watches, 1);
	assert_true(rig->watching);
	/* and stays on while the transition lasts */
	settle(rig, 10 * S);
	assert_true(attempts(rig) > 3);
	assert_int_equal(rig->watches, 1);
	rig->busy = NULL;
	settle(rig, 2 * S);
	assert_phase(rig, "fix", PHASE_APPLIED);
	assert_int_equal(revert(rig, "fix"), 0);
	settle(rig, 30);
	assert_phase(rig, "fix", PHASE_REVERTED);
	assert_int_equal(rig->watches, 2);
}

/* Its pieces are no attempts: they count for nothing, and the budget does not grow. */
static void the_look_is_no_attempt(void **state)
{
	struct rig *rig = *state;

	rig->looks_ahead = 50;
	begin(rig);
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_APPLIED);
	assert_int_equal(rig->looks_ahead, 0);
	assert_int_equal(attempts(rig), 1);
	assert_int_equal(rig->last_budget_us, 1000);
}

/* The blocker of the attempt before is told as long as the next one is being prepared. */
static void the_look_keeps_the_blocker(void **state)
{
	struct rig *rig = *state;

	begin_blocked(rig);
	rig->looks_ahead = 1000000;
	settle(rig, 2 * S);
	assert_int_equal(attempts(rig), 1);
	assert_true(info(rig, "fix").apply.blocker.valid);
	assert_string_equal(info(rig, "fix").apply.blocker.func, "do_sys_open");
}

/* A kernel in which nobody can watch: the attempt does not wait, and it is not asked again. */
static void the_kernel_cannot(void **state)
{
	struct rig *rig = *state;

	rig->watch_error = -EOPNOTSUPP;
	begin(rig);
	settle(rig, 30);
	assert_phase(rig, "fix", PHASE_APPLIED);
	assert_int_equal(rig->watches, 1);
	assert_int_equal(revert(rig, "fix"), 0);
	settle(rig, 30);
	assert_phase(rig, "fix", PHASE_REVERTED);
	assert_int_equal(rig->watches, 1);
	/* another agent may be able to */
	engine_agent_hello(rig->e);
	rig->watch_error = 0;
	apply(rig, &other);
	assert_int_equal(rig->watches, 2);
}

static void falls_silent(struct rig *rig)
{
	struct patch_info i;

	if (!engine_patch_info(rig->e, 0, &i) && i.phase != PHASE_LOADING)
		rig->stopped = true;
}

/* An agent that does not ask for work: the attempts begin without it. */
static void the_agent_is_silent(void **state)
{
	struct rig *rig = *state;

	rig->hook = falls_silent;
	begin(rig);
	settle(rig, 100);
	assert_int_equal(attempts(rig), 0);
	settle(rig, 200);
	assert_int_equal(attempts(rig), 1);
	assert_int_equal(rig->watches, 0);
	assert_int_equal(rig->switches, 1);
}

/* Its record has had a gap. */
static void one_that_is_over_is_asked_for_again(void **state)
{
	struct rig *rig = *state;

	rig->busy = "do_sys_open";
	begin(rig);
	settle(rig, 1 * S);
	assert_int_equal(rig->watches, 1);
	rig->watching = false;
	settle(rig, 3 * S);
	assert_int_equal(rig->watches, 2);
	assert_true(rig->watching);
}

static void expect_gaps(struct rig *rig, u32 gaps, u32 ms)
{
	rig->watch_gaps = gaps;
	begin(rig);
	settle(rig, ms);
	assert_phase(rig, "fix", PHASE_APPLIED);
	assert_int_equal(rig->watches, 3);
	assert_int_equal(attempts(rig), 1);
}

/* The attempt waits for another one. */
static void one_with_a_gap_is_no_attempt(void **state)
{
	expect_gaps(*state, 2, 100);
}

/* The guest is too fast for it: the attempt is made without. */
static void gaps_have_an_end(void **state)
{
	expect_gaps(*state, 1000, 1 * S);
}

/* Each attempt may need another one: only what is lost between two attempts is counted. */
static void a_gap_before_each_attempt(void **state)
{
	struct rig *rig = *state;

	rig->busy = "do_sys_open";
	begin(rig);
	for (u32 i = 0; i < 10; i++) {
		u32 watches = rig->watches, tries = attempts(rig);

		rig->watch_gaps = 1;
		while (attempts(rig) < tries + 2)
			settle(rig, 10);
		assert_int_equal(rig->watches, watches + 1);
		assert_true(rig->watching);
	}
}

#define WATCH(test) cmocka_unit_test_setup_teardown(test, setup_watch, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WATCH(it_comes_before_the_first_attempt),
		WATCH(the_look_is_no_attempt),
		WATCH(the_look_keeps_the_blocker),
		WATCH(the_kernel_cannot),
		WATCH(the_agent_is_silent),
		WATCH(one_that_is_over_is_asked_for_again),
		WATCH(one_with_a_gap_is_no_attempt),
		WATCH(gaps_have_an_end),
		WATCH(a_gap_before_each_attempt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
