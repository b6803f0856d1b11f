/* SPDX-License-Identifier: BSD-2-Clause */
/* A blocked transition: back-off, fake signals, and the report that it is stuck. */
#include "engine_blocked.h"

/* ---- back-off ---- */

static void test_back_off(void **state)
{
	struct rig *rig = *state;

	start_blocked(rig);
	/* after 0, 5, 15, 35, 75 ... 1275 ms */
	settle(rig, 80);
	assert_int_equal(attempts(rig), 5);
	settle(rig, 1220);
	assert_int_equal(attempts(rig), 9);
	assert_in_range(attempts_in(rig, 3 * S), 2, 4);
}

static void test_fast_again_for_another_task(void **state)
{
	struct rig *rig = *state;

	start_blocked(rig);
	settle(rig, 4 * S);
	rig->busy_pid = 8;
	while (info(rig, "fix").apply.blocker.pid != 8)
		settle(rig, 1);
	assert_int_equal(attempts_in(rig, 80), 4);
}

static void test_fast_again_for_another_function(void **state)
{
	struct rig *rig = *state;
	u32 before;

	start_blocked(rig);
	settle(rig, 4 * S);
	before = attempts(rig);
	rig->busy = "cmdline_proc_show";
	while (strcmp(info(rig, "fix").apply.blocker.func, rig->busy))
		settle(rig, 1);
	assert_int_equal(attempts(rig), before + 1);
	assert_int_equal(attempts_in(rig, 80), 4);
}

/* A pause that was too short is tried again soon, and then less and less often too. */
static void test_back_off_without_blocker(void **state)
{
	struct rig *rig = *state;

	rig->short_pause = true;
	assert_int_equal(upload(rig, &fix), 0);
	settle(rig, 82);
	assert_in_range(attempts(rig), 4, 5);
	settle(rig, 5 * S);
	assert_in_range(attempts_in(rig, 3 * S), 2, 4);
	assert_int_equal(rig->signals, 0);
	assert_false(info(rig, "fix").stuck);
}

/* ---- the fake signal ---- */

static void test_no_signal_at_first(void **state)
{
	struct rig *rig = *state;

	start_blocked(rig);
	settle(rig, 4900);
	assert_int_equal(rig->signals, 0);
}

static void leaves(struct rig *rig, u32 pid)
{
	if (pid == 7)
		rig->busy = NULL;
}

/* The blocker leaves, and the attempt that follows soon finds none. */
static void test_signal_frees_the_function(void **state)
{
	struct rig *rig = *state;

	rig->on_signal = leaves;
	start_blocked(rig);
	rig_clear(rig);
	settle(rig, 7 * S);
	assert_int_equal(rig->signals, 1);
	assert_int_equal(rig->signalled_pid, 7);
	assert_phase(rig, "fix", PHASE_APPLIED);
	lines(rig, "livepatch: signaling remaining tasks",
	      "livepatch: 'fix': completing patching transition",
	      "fix: post_patch_callback: vmlinux", "livepatch: 'fix': patching complete");
	settle(rig, 30 * S);
	assert_int_equal(rig->signals, 1);
}

static void returns_in_20_ms(struct rig *rig)
{
	static u64 at_us;

	if (!rig->busy && !at_us)
		at_us = rig->now_us + 20000;
	if (at_us && rig->now_us >= at_us) {
		rig->busy = "do_sys_open";
		at_us = 0;
	}
}

/*
 * A task that returns every 20 ms is found outside of the function: the attempts are close together
 * again.
 */
static void test_fast_after_a_signal(void **state)
{
	struct rig *rig = *state;
	u32 i;

	rig->on_signal = leaves;
	start_blocked(rig);
	for (i = 0; i < 7 * S && info(rig, "fix").phase != PHASE_APPLIED; i++) {
		settle(rig, 1);
		returns_in_20_ms(rig);
	}
	assert_phase(rig, "fix", PHASE_APPLIED);
	assert_int_equal(rig->signals, 1);
}

static void next_one(struct rig *rig, u32 pid)
{
	assert_int_equal(pid, rig->busy_pid);
	if (++rig->busy_pid == 107)
		rig->busy = NULL;
}

/* A hundred sleep there: an attempt names one, but all get their signal in one round. */
static void test_a_round_is_for_all(void **state)
{
	struct rig *rig = *state;

	rig->on_signal = next_one;
	rig->busy_pid = 7;
	start_blocked(rig);
	rig_clear(rig);
	settle(rig, 7 * S);
	assert_int_equal(rig->signals, 100);
	assert_phase(rig, "fix", PHASE_APPLIED);
	lines(rig, "livepatch: signaling remaining tasks",
	      "livepatch: 'fix': completing patching transition",
	      "fix: post_patch_callback: vmlinux", "livepatch: 'fix': patching complete");
}

/*
 * A task that ignores the signal gets one in each round, every 15 seconds; Linux's line is logged
 * once, as a notice.
 */
static void test_rounds(void **state)
{
	struct rig *rig = *state;

	start_blocked(rig);
	rig_clear(rig);
	settle(rig, 7 * S);
	assert_int_equal(rig->signals, 1);
	settle(rig, 12 * S);
	assert_int_equal(rig->signals, 1);
	settle(rig, 4 * S);
	assert_int_equal(rig->signals, 2);
	settle(rig, 15 * S);
	assert_int_equal(rig->signals, 3);
	lines(rig, "livepatch: signaling remaining tasks", "livepatch: signaling remaining tasks",
	      "livepatch: signaling remaining tasks");
	/* who comes between two rounds waits for the next */
	rig->busy_pid = 8;
	settle(rig, 2 * S);
	assert_int_equal(rig->signals, 3);
	settle(rig, 15 * S);
	assert_int_equal(rig->signals, 4);
	assert_int_equal(rig->signalled_pid, 8);
}

static void test_revert_signals_too(void **state)
{
	struct rig *rig = *state;

	apply(rig, &fix);
	rig->busy = "do_sys_open";
	rig->on_signal = leaves;
	assert_int_equal(revert(rig, "fix"), 0);
	settle(rig, 7 * S);
	assert_int_equal(rig->signals, 1);
	assert_phase(rig, "fix", PHASE_REVERTED);
}

/* A signal that the agent has not fetched before the switch is not sent. */
static void test_signal_too_late(void **state)
{
	struct rig *rig = *state;

	start_blocked(rig);
	rig->stopped = true;
	settle(rig, 7 * S);
	rig->busy = NULL;
	settle(rig, 2 * S);
	assert_phase(rig, "fix", PHASE_COMPLETING);
	rig->stopped = false;
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_APPLIED);
	assert_int_equal(rig->signals, 0);
}

/* A module that comes in the middle of a round waits for a step, not for the round. */
static void test_module_comes_in_a_round(void **state)
{
	static const struct def both = {.name = "fix",
					.objects = {{"vmlinux", 0}, {"m", ALL_CALLBACKS}},
					.funcs = {{0, "do_sys_open"}, {1, "mf"}}};
	struct rig *rig = *state;

	rig->busy = "do_sys_open";
	assert_int_equal(upload(rig, &both), 0);
	while (!rig->signals)
		settle(rig, 1);
	assert_int_equal(insmod(rig, "m"), 0);
	rmmod(rig, "m");
	assert_phase(rig, "fix", PHASE_PATCHING);
}

/* ---- stuck ---- */

static void test_stuck(void **state)
{
	struct rig *rig = *state;
	struct patch_info i;

	start_blocked(rig);
	settle(rig, 29 * S);
	assert_false(info(rig, "fix").stuck);
	assert_string_equal(info(rig, "fix").why, "");
	settle(rig, 3 * S);
	i = info(rig, "fix");
	assert_true(i.stuck);
	assert_int_equal(i.error, 0);
	assert_string_equal(i.why,
			    "somebody always sleeps in do_sys_open (last: some?body, pid 7): "
			    "it cannot be switched while that lasts: `suture cancel fix`");
	/*
	 * another task in the same function does not make the attempts more frequent, but gets its
	 * signal in a round
	 */
	rig->busy_pid = 8;
	settle(rig, 7 * S);
	assert_text(info(rig, "fix").why, "pid 8)");
	rig->busy_pid = 9;
	assert_in_range(attempts_in(rig, 3 * S), 2, 4);
	/* it is tried all the same */
	rig->busy = NULL;
	settle(rig, 2 * S);
	i = info(rig, "fix");
	assert_int_equal(i.phase, PHASE_APPLIED);
	assert_false(i.stuck);
	assert_string_equal(i.why, "");
}

static void test_not_stuck_in_changing_functions(void **state)
{
	struct rig *rig = *state;
	u32 i;

	start_blocked(rig);
	for (i = 0; i < 5; i++) {
		settle(rig, 20 * S);
		assert_false(info(rig, "fix").stuck);
		rig->busy = i % 2 ? "do_sys_open" : "cmdline_proc_show";
	}
	settle(rig, 33 * S);
	assert_true(info(rig, "fix").stuck);
	rig->busy = i % 2 ? "do_sys_open" : "cmdline_proc_show";
	settle(rig, 2 * S);
	assert_false(info(rig, "fix").stuck);
	assert_string_equal(info(rig, "fix").why, "");
}

/* A few attempts, far apart (the service CPU had no time), do not make the blocker permanent. */
static void test_not_stuck_after_few_attempts(void **state)
{
	struct rig *rig = *state;
	u32 i;

	start_blocked(rig);
	for (i = 0; i < 10; i++) {
		rig->now_us += 8000000;
		settle(rig, 1);
	}
	assert_in_range(attempts(rig), 11, 19);
	assert_false(info(rig, "fix").stuck);
}

/* A new agent forgets that, as it does the transition. */
static void test_stuck_and_new_agent(void **state)
{
	struct rig *rig = *state;

	apply(rig, &fix);
	rig->busy = "do_sys_open";
	assert_int_equal(revert(rig, "fix"), 0);
	settle(rig, 33 * S);
	assert_true(info(rig, "fix").stuck);
	engine_agent_hello(rig->e);
	assert_false(info(rig, "fix").stuck);
	assert_text(info(rig, "fix").why, "the agent that ran it is gone");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		T(test_back_off),
		T(test_fast_again_for_another_task),
		T(test_fast_again_for_another_function),
		T(test_back_off_without_blocker),
		T(test_no_signal_at_first),
		T(test_signal_frees_the_function),
		T(test_fast_after_a_signal),
		T(test_a_round_is_for_all),
		T(test_rounds),
		T(test_revert_signals_too),
		T(test_signal_too_late),
		T(test_module_comes_in_a_round),
		T(test_stuck),
		T(test_not_stuck_in_changing_functions),
		T(test_not_stuck_after_few_attempts),
		T(test_stuck_and_new_agent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
