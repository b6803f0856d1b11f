/* SPDX-License-Identifier: BSD-2-Clause */
/* A blocked transition that the operator cancels. */
#include "engine_blocked.h"

static void test_cancel_apply(void **state)
{
	struct rig *rig = *state;
	struct patch_info i;

	start_blocked(rig);
	settle(rig, 33 * S);
	rig_clear(rig);
	assert_string_equal(rig->ended, "");
	assert_int_equal(cancel(rig, "fix"), 0);
	assert_false(info(rig, "fix").stuck);
	assert_int_equal(cancel(rig, "fix"), -EBUSY);
	settle(rig, 100);
	lines(rig, "livepatch: 'fix': reversing transition from patching to unpatching",
	      "livepatch: 'fix': starting unpatching transition",
	      "livepatch: 'fix': completing unpatching transition",
	      "fix: post_unpatch_callback: vmlinux", "livepatch: 'fix': unpatching complete");
	i = info(rig, "fix");
	assert_int_equal(i.phase, PHASE_FAILED);
	assert_int_equal(i.error, -ECANCELED);
	assert_string_equal(i.why, "cancelled by the operator");
	assert_text(rig->ended, "END fix failed ECANCELED attempts ");
	assert_int_equal(rig->switches, 0);
	assert_int_equal(rig_payload(rig, "fix")->state, ABSENT);
	assert_int_equal(cancel(rig, "fix"), -ENOENT);
	assert_why(rig, "patch 'fix' is not there");
	/* nothing is left that blocks another apply */
	rig->busy = NULL;
	apply(rig, &fix);
	assert_int_equal(info(rig, "fix").error, 0);
}

static void test_cancel_revert(void **state)
{
	struct rig *rig = *state;
	struct patch_info i;

	apply(rig, &fix);
	rig->busy = "do_sys_open";
	assert_int_equal(revert(rig, "fix"), 0);
	settle(rig, 33 * S);
	assert_true(info(rig, "fix").stuck);
	rig_clear(rig);
	assert_int_equal(cancel(rig, "fix"), 0);
	settle(rig, 100);
	lines(rig, "livepatch: 'fix': reversing transition from unpatching to patching",
	      "livepatch: 'fix': starting patching transition",
	      "livepatch: 'fix': completing patching transition",
	      "fix: post_patch_callback: vmlinux", "livepatch: 'fix': patching complete");
	i = info(rig, "fix");
	assert_int_equal(i.phase, PHASE_APPLIED);
	assert_int_equal(i.error, 0);
	assert_false(i.stuck);
	assert_string_equal(i.why, "its revert was cancelled by the operator");
	assert_int_equal(count_redirects(rig), 2);
	assert_int_equal(query(rig, "fix").enabled, 1);
	assert_int_equal(cancel(rig, "fix"), -EALREADY);
	assert_why(rig, "patch 'fix' is applied, nothing is under way");
	rig->busy = NULL;
	assert_int_equal(revert(rig, "fix"), 0);
	assert_string_equal(info(rig, "fix").why, "");
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_REVERTED);
}

/* A cancel cannot be canceled: that would be an apply that the operator has not requested. */
static void test_cancel_twice(void **state)
{
	struct rig *rig = *state;

	start_blocked(rig);
	assert_int_equal(cancel(rig, "fix"), 0);
	while (info(rig, "fix").phase != PHASE_UNPATCHING)
		assert_true(poll_once(rig));
	assert_int_equal(cancel(rig, "fix"), -EALREADY);
	assert_why(rig, "is being cancelled already");
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_FAILED);

	rig->busy = NULL;
	apply(rig, &fix);
	rig->busy = "do_sys_open";
	assert_int_equal(revert(rig, "fix"), 0);
	settle(rig, 10);
	assert_int_equal(cancel(rig, "fix"), 0);
	while (info(rig, "fix").phase != PHASE_PATCHING)
		assert_true(poll_once(rig));
	assert_int_equal(cancel(rig, "fix"), -EALREADY);
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_APPLIED);
}

static void test_cancel_refusals(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(cancel(rig, "fix"), -ENOENT);
	assert_int_equal(upload(rig, &fix), 0);
	assert_int_equal(cancel(rig, "fix"), -EBUSY);
	assert_why(rig, "patch 'fix' is uploaded, which nobody can block");
	settle(rig, 100);
	assert_int_equal(disable(rig, "fix"), 0);
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_DISABLED);
	assert_int_equal(cancel(rig, "fix"), -EALREADY);
	assert_int_equal(revert(rig, "fix"), 0);
	settle(rig, 100);

	start_blocked(rig);
	rig->stopped = true;
	rig->now_us += 11000000;
	assert_int_equal(cancel(rig, "fix"), -ESRCH);
	assert_why(rig, "agent silent for");
}

/* A patch that the guest loaded by itself: its module is the guest's to unload. */
static void test_cancel_guest_patch(void **state)
{
	struct rig *rig = *state;

	rig->busy = "do_sys_open";
	assert_int_equal(insmod_payload(rig, &fix), 0);
	settle(rig, 100);
	assert_int_equal(cancel(rig, "fix"), 0);
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_FAILED);
	assert_int_equal(rig_payload(rig, "fix")->state, LIVE);
	assert_false(rig_payload(rig, "fix")->known);
	assert_int_equal(rmmod_payload(rig, "fix"), 0);
}

/* The agent is gone, the revert is blocked: the engine turns it around alone. */
static void test_cancel_revert_of_orphan(void **state)
{
	struct rig *rig = *state;

	apply(rig, &fix);
	engine_agent_hello(rig->e);
	rig->busy = "do_sys_open";
	rig->stopped = true;
	assert_int_equal(revert(rig, "fix"), 0);
	settle(rig, 20 * S);
	assert_phase(rig, "fix", PHASE_UNPATCHING);
	assert_int_equal(rig->signals, 0);
	assert_int_equal(cancel(rig, "fix"), 0);
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_APPLIED);
	assert_int_equal(count_redirects(rig), 2);
	rig_payload(rig, "fix")->known = false;
}

/* The same bundle is known while it is applied or on its way there; another one is not. */
static void test_uploaded_again(void **state)
{
	struct rig *rig = *state;

	rig->busy = "do_sys_open";
	assert_int_equal(upload(rig, &fix), 0);
	assert_int_equal(upload(rig, &fix), 1);
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_PATCHING);
	assert_int_equal(upload(rig, &fix), 1);
	assert_int_equal(cancel(rig, "fix"), 0);
	assert_int_equal(upload(rig, &fix), -EEXIST);
	rig->busy = NULL;
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_FAILED);

	apply(rig, &fix);
	assert_int_equal(upload(rig, &fix), 1);
	rig->version = "another";
	assert_int_equal(upload(rig, &fix), -EEXIST);
	rig->version = NULL;
	rig->busy = "do_sys_open";
	assert_int_equal(revert(rig, "fix"), 0);
	assert_int_equal(upload(rig, &fix), -EEXIST);
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_UNPATCHING);
	assert_int_equal(upload(rig, &fix), -EEXIST);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		T(test_uploaded_again),		 T(test_cancel_apply),
		T(test_cancel_revert),		 T(test_cancel_twice),
		T(test_cancel_refusals),	 T(test_cancel_guest_patch),
		T(test_cancel_revert_of_orphan),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
