/* SPDX-License-Identifier: BSD-2-Clause */
/* A transition that idle tasks block. */
#include "engine_blocked.h"

static void out_of_it(struct rig *rig)
{
	rig->busy = NULL;
}

static void start_idle(struct rig *rig)
{
	rig->busy_idle = true;
	rig->busy = "do_sys_open";
	rig_clear(rig);
	assert_int_equal(upload(rig, &fix), 0);
}

/*
 * Idle tasks leave at once, without a signal or a log line, and the next attempt finds no blocker.
 */
static void test_idle_leaves_at_once(void **state)
{
	struct rig *rig = *state;

	rig->on_idle_leave = out_of_it;
	start_idle(rig);
	settle(rig, 30);
	assert_phase(rig, "fix", PHASE_APPLIED);
	assert_int_equal(rig->idle_leaves, 1);
	assert_int_equal(rig->signals, 0);
	assert_int_equal(attempts(rig), 2);
	lines(rig, "livepatch: enabling patch 'fix'",
	      "livepatch: 'fix': initializing patching transition",
	      "fix: pre_patch_callback: vmlinux", "livepatch: 'fix': starting patching transition",
	      "livepatch: 'fix': completing patching transition",
	      "fix: post_patch_callback: vmlinux", "livepatch: 'fix': patching complete");
}

static void test_idle_leaves_for_a_revert(void **state)
{
	struct rig *rig = *state;

	apply(rig, &fix);
	rig->busy_idle = true;
	rig->busy = "do_sys_open";
	rig->on_idle_leave = out_of_it;
	assert_int_equal(revert(rig, "fix"), 0);
	settle(rig, 30);
	assert_phase(rig, "fix", PHASE_REVERTED);
	assert_int_equal(rig->idle_leaves, 1);
}

/*
 * A function that idle tasks never leave: a few attempts, some more in each round, and the operator
 * is told.
 */
static void test_idle_always_there(void **state)
{
	struct rig *rig = *state;

	start_idle(rig);
	settle(rig, 1 * S);
	assert_int_equal(rig->idle_leaves, 5);
	settle(rig, 3 * S);
	assert_int_equal(rig->idle_leaves, 5);
	settle(rig, 4 * S);
	assert_int_equal(rig->idle_leaves, 10);
	assert_int_equal(rig->signals, 0);
	settle(rig, 15 * S);
	assert_int_equal(rig->idle_leaves, 15);
	assert_in_range(attempts_in(rig, 10 * S), 8, 25);
	settle(rig, 1 * S);
	assert_true(info(rig, "fix").stuck);
	assert_string_equal(info(rig, "fix").why,
			    "somebody always sleeps in do_sys_open (last: some?body, pid 0): "
			    "it cannot be switched while that lasts: `suture cancel fix`");
	assert_int_equal(cancel(rig, "fix"), 0);
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_FAILED);
	rig->on_idle_leave = out_of_it;
	apply(rig, &fix);
}

static void then_a_user(struct rig *rig)
{
	rig->busy_idle = false;
}

/* After the idle task another task blocks, which needs a signal, and then an idle task again. */
static void then_idle_again(struct rig *rig, u32 pid)
{
	assert_int_equal(pid, 7);
	rig->busy_idle = true;
	rig->on_idle_leave = out_of_it;
}

static void test_idle_and_user_in_turn(void **state)
{
	struct rig *rig = *state;

	rig->on_idle_leave = then_a_user;
	rig->on_signal = then_idle_again;
	start_idle(rig);
	settle(rig, 4 * S);
	assert_int_equal(rig->idle_leaves, 1);
	assert_int_equal(rig->signals, 0);
	settle(rig, 3 * S);
	assert_phase(rig, "fix", PHASE_APPLIED);
	assert_int_equal(rig->signals, 1);
	assert_int_equal(rig->idle_leaves, 2);
}

/* If the agent asks only after the switch, no CPU is made to leave its idle task. */
static void test_idle_too_late(void **state)
{
	struct rig *rig = *state;

	start_idle(rig);
	while (info(rig, "fix").phase != PHASE_PATCHING)
		settle(rig, 1);
	rig->idle_leaves = 0;
	rig->stopped = true;
	settle(rig, 100);
	rig->busy = NULL;
	settle(rig, 1 * S);
	rig->stopped = false;
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_APPLIED);
	assert_int_equal(rig->idle_leaves, 0);
}

/* No agent: it is tried all the same, and an idle task may be elsewhere. */
static void test_idle_and_orphan(void **state)
{
	struct rig *rig = *state;

	apply(rig, &fix);
	engine_agent_hello(rig->e);
	rig->busy_idle = true;
	rig->busy = "do_sys_open";
	assert_int_equal(revert(rig, "fix"), 0);
	settle(rig, 1 * S);
	assert_phase(rig, "fix", PHASE_UNPATCHING);
	assert_int_equal(rig->idle_leaves, 0);
	rig->busy = NULL;
	settle(rig, 2 * S);
	assert_phase(rig, "fix", PHASE_REVERTED);
	rig_payload(rig, "fix")->known = false;
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		T(test_idle_leaves_at_once), T(test_idle_leaves_for_a_revert),
		T(test_idle_always_there),   T(test_idle_and_user_in_turn),
		T(test_idle_too_late),	     T(test_idle_and_orphan),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
