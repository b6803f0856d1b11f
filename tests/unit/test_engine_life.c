/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Successful operations, retries, reversals, force, and modules that are loaded while a transition
 * waits.
 */
#include "engine_rig.h"

/* ---- what goes well ---- */

static void test_life(void **state)
{
	struct rig *rig = *state;
	struct patch_info i;
	struct patch_func_info f;

	assert_int_equal(upload(rig, &fix), 0);
	assert_phase(rig, "fix", PHASE_UPLOADED);
	assert_string_equal(rig->ended, "");
	assert_int_equal(engine_agent_bye(rig->e), 0);
	engine_agent_hello(rig->e);
	settle(rig, 100);
	i = info(rig, "fix");
	assert_int_equal(i.phase, PHASE_APPLIED);
	assert_text(rig->ended, "END fix applied attempts 1 pause_max_us ");
	assert_text(rig->ended, " sha256 ");
	assert_string_equal(i.version, "1.2");
	assert_true(i.from_bundle);
	assert_int_equal(i.error, 0);
	assert_int_equal(i.apply.attempts, 1);
	assert_int_equal(i.apply.functions_redirected, 2);
	assert_int_equal(i.nr_funcs, 2);
	assert_int_equal(engine_patch_func(rig->e, 0, 1, &f), 0);
	assert_string_equal(f.name, "do_sys_open");
	assert_string_equal(f.object, "vmlinux");
	assert_true(f.redirected);
	assert_int_equal(engine_patch_func(rig->e, 0, 2, &f), -ENOENT);
	assert_int_equal(runs(rig, "vmlinux", "do_sys_open"), f.new_addr);
	assert_int_equal(engine_agent_bye(rig->e), -EBUSY);
	rig_clear(rig);

	assert_int_equal(revert(rig, "fix"), 0);
	settle(rig, 100);
	lines(rig, "livepatch: 'fix': initializing unpatching transition",
	      "fix: pre_unpatch_callback: vmlinux",
	      "livepatch: 'fix': starting unpatching transition",
	      "livepatch: 'fix': completing unpatching transition",
	      "fix: post_unpatch_callback: vmlinux", "livepatch: 'fix': unpatching complete");
	i = info(rig, "fix");
	assert_int_equal(i.phase, PHASE_REVERTED);
	assert_text(rig->ended, "END fix reverted attempts 1 pause_max_us ");
	assert_int_equal(i.error, 0);
	assert_int_equal(i.revert.attempts, 1);
	assert_int_equal(count_redirects(rig), 0);
	assert_int_equal(rig_payload(rig, "fix")->state, ABSENT);
	assert_int_equal(engine_agent_bye(rig->e), 0);
}

static void test_again_and_again(void **state)
{
	struct rig *rig = *state;
	long before = 0;
	int n;

	for (n = 0; n < 100; n++) {
		apply(rig, &fix);
		assert_int_equal(revert(rig, "fix"), 0);
		settle(rig, 100);
		assert_phase(rig, "fix", PHASE_REVERTED);
		rig_clear(rig);
		if (n == 1)
			before = rig->allocated;
	}
	assert_int_equal(rig->allocated, before);
}

/* The number of records of former patches is bounded. */
static void test_records_are_bounded(void **state)
{
	struct rig *rig = *state;
	static char names[100][8];
	struct patch_info i;
	struct def d = fix;
	u32 n;

	for (n = 0; n < 100; n++) {
		snprintf(names[n], sizeof(names[n]), "p%u", n);
		d.name = names[n];
		rig->payloads[0].def = NULL;
		assert_int_equal(upload(rig, &d), 0);
		assert_int_equal(revert(rig, d.name), 0);
	}
	for (n = 0; !engine_patch_info(rig->e, n, &i); n++)
		;
	assert_in_range(n, 10, 20);
	assert_string_equal((engine_patch_info(rig->e, n - 1, &i), i.name), "p99");
}

/* Records are cleared, except those that are still needed. */
static void test_clear(void **state)
{
	struct rig *rig = *state;
	struct patch_info i;
	char why[192];

	apply(rig, &fix);
	assert_int_equal(engine_clear(rig->e, "fix", why, sizeof(why)), -EBUSY);
	assert_text(why, "patch 'fix' is applied: only what is reverted or failed");
	assert_int_equal(engine_clear(rig->e, "nobody", why, sizeof(why)), -ENOENT);
	assert_int_equal(engine_clear(rig->e, NULL, why, sizeof(why)), 0);
	rig->validate_error = -ENOSPC;
	assert_int_equal(upload(rig, &other), 0);
	settle(rig, 100);
	assert_phase(rig, "other", PHASE_FAILED);
	rig->validate_error = 0;
	assert_int_equal(engine_clear(rig->e, "other", why, sizeof(why)), 1);
	assert_int_equal(engine_patch_info(rig->e, 1, &i), -ENOENT);
	apply(rig, &other);
	assert_int_equal(revert(rig, "other"), 0);
	settle(rig, 100);
	assert_int_equal(revert(rig, "fix"), 0);
	settle(rig, 100);
	/* a new apply forgets the old record, and clearing the rest changes nothing of it */
	apply(rig, &other);
	assert_int_equal(engine_clear(rig->e, NULL, why, sizeof(why)), 1);
	assert_phase(rig, "other", PHASE_APPLIED);
	assert_int_equal(engine_patch_info(rig->e, 1, &i), -ENOENT);
}

static void test_sysfs_disable_then_revert(void **state)
{
	struct rig *rig = *state;

	apply(rig, &fix);
	assert_int_equal(echo(rig, "fix", SUTURE_SET_ENABLED, 1), -EINVAL);
	assert_int_equal(echo(rig, "fix", SUTURE_SET_ENABLED, 2), -EINVAL);
	assert_int_equal(disable(rig, "fix"), 0);
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_DISABLED);
	assert_string_equal(info(rig, "fix").why, "disabled in the guest by s?h (pid 412)");
	assert_int_equal(echo(rig, "fix", SUTURE_SET_ENABLED, 1), -ENOENT);
	assert_int_equal(upload(rig, &fix), -EEXIST);
	assert_why(rig, "is disabled already: `suture revert fix` first");
	assert_int_equal(rig_payload(rig, "fix")->state, LIVE);
	assert_int_equal(revert(rig, "fix"), 0);
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_REVERTED);
	assert_int_equal(rig_payload(rig, "fix")->state, ABSENT);
}

static void test_guest_patch(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(insmod_payload(rig, &fix), 0);
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_APPLIED);
	assert_false(info(rig, "fix").from_bundle);
	assert_int_equal(disable(rig, "fix"), 0);
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_DISABLED);
	/* its module goes and comes again: the record follows */
	assert_int_equal(rmmod_payload(rig, "fix"), 0);
	assert_int_equal(insmod_payload(rig, &fix), 0);
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_APPLIED);
	assert_int_equal(revert(rig, "fix"), 0);
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_REVERTED);
}

/* ---- retry without end ---- */

static void test_retry(void **state)
{
	struct rig *rig = *state;
	struct patch_info i;
	u32 blocked;

	rig->busy = "do_sys_open";
	assert_int_equal(upload(rig, &fix), 0);
	settle(rig, 2000);
	i = info(rig, "fix");
	assert_int_equal(i.phase, PHASE_PATCHING);
	assert_in_range(i.apply.attempts, 95, 101);
	assert_true(i.apply.blocker.valid);
	assert_int_equal(i.apply.blocker.pid, 7);
	assert_string_equal(i.apply.blocker.func, "do_sys_open");
	assert_string_equal(i.apply.reason, "somebody sleeps in it");
	assert_int_equal(count_redirects(rig), 0);
	assert_int_equal(rig->last_budget_us, 1000); /* a longer pause would not have helped */
	blocked = i.apply.attempts;
	assert_int_equal(i.apply.blocker.attempt, blocked);
	/* attempts that fail for another reason do not hide who it was */
	rig->busy = NULL;
	rig->short_pause = true;
	settle(rig, 50);
	i = info(rig, "fix");
	assert_true(i.apply.attempts > blocked);
	assert_string_equal(i.apply.reason, "the pause was too short");
	assert_true(rig->last_budget_us > 1000);
	assert_true(i.apply.blocker.valid);
	assert_int_equal(i.apply.blocker.pid, 7);
	assert_int_equal(i.apply.blocker.attempt, blocked);
	rig->short_pause = false;
	settle(rig, 50);
	i = info(rig, "fix");
	assert_int_equal(i.phase, PHASE_APPLIED);
	assert_int_equal(i.apply.blocker.attempt, blocked);
	assert_string_equal(i.apply.reason, "");

	rig->busy = "do_sys_open";
	assert_int_equal(revert(rig, "fix"), 0);
	settle(rig, 2000);
	assert_phase(rig, "fix", PHASE_UNPATCHING);
	assert_int_equal(revert(rig, "fix"), -EALREADY);
	assert_int_equal(count_redirects(rig), 2);
	rig->busy = NULL;
	settle(rig, 50);
	assert_phase(rig, "fix", PHASE_REVERTED);
	assert_in_range(info(rig, "fix").revert.attempts, 95, 101);
}

static void test_budget_grows(void **state)
{
	struct rig *rig = *state;

	rig->short_pause = true;
	assert_int_equal(upload(rig, &fix), 0);
	settle(rig, 1000);
	assert_int_equal(rig->last_budget_us, 8000);
	rig->short_pause = false;
	settle(rig, 50);
	assert_phase(rig, "fix", PHASE_APPLIED);
}

/* A failing init frees a module whatever its references: the switch waits for its end. */
static void test_not_before_live(void **state)
{
	struct rig *rig = *state;
	struct rig_payload *p = rig_add(rig, &fix);

	p->state = COMING;
	p->known = true;
	assert_int_equal(declare(rig, p), 0);
	assert_int_equal(pump(rig, SUTURE_PUMP_INIT, "fix", ""), 0);
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_PATCHING);
	assert_int_equal(rig->switches, 0);
	assert_text(info(rig, "fix").apply.reason, "init has not ended");
	p->state = LIVE;
	tell_module(rig, "fix", SUTURE_MODULE_LIVE, payload_text(0));
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_APPLIED);
}

/* ---- reversal ---- */

static void test_revert_while_patching(void **state)
{
	struct rig *rig = *state;

	rig->busy = "do_sys_open";
	assert_int_equal(upload(rig, &fix), 0);
	settle(rig, 100);
	rig_clear(rig);
	assert_int_equal(revert(rig, "fix"), 0);
	assert_int_equal(revert(rig, "fix"), -EBUSY);
	settle(rig, 100);
	lines(rig, "livepatch: 'fix': reversing transition from patching to unpatching",
	      "livepatch: 'fix': starting unpatching transition",
	      "livepatch: 'fix': completing unpatching transition",
	      "fix: post_unpatch_callback: vmlinux", "livepatch: 'fix': unpatching complete");
	assert_phase(rig, "fix", PHASE_REVERTED);
	assert_int_equal(rig->switches, 0);
}

/* Reversing a disable runs post_patch again: its pre_unpatch ran. */
static void test_reverse_disable(void **state)
{
	struct rig *rig = *state;

	apply(rig, &fix);
	rig->busy = "do_sys_open";
	assert_int_equal(disable(rig, "fix"), 0);
	settle(rig, 100);
	assert_int_equal(query(rig, "fix").enabled, 0);
	assert_int_equal(query(rig, "fix").transition, 1);
	rig_clear(rig);
	assert_int_equal(echo(rig, "fix", SUTURE_SET_ENABLED, 1), 0);
	settle(rig, 100);
	lines(rig, "livepatch: 'fix': reversing transition from unpatching to patching",
	      "livepatch: 'fix': starting patching transition",
	      "livepatch: 'fix': completing patching transition",
	      "fix: post_patch_callback: vmlinux", "livepatch: 'fix': patching complete");
	assert_phase(rig, "fix", PHASE_APPLIED);
	assert_string_equal(info(rig, "fix").why,
			    "its way off was cancelled in the guest by s?h (pid 412)");
	assert_int_equal(query(rig, "fix").enabled, 1);
	assert_int_equal(count_redirects(rig), 2);
	/* the operator reverts it, not the guest */
	rig->busy = NULL;
	assert_int_equal(revert(rig, "fix"), 0);
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_REVERTED);
	assert_string_equal(info(rig, "fix").why, "");
}

/* A revert that was reversed is forgotten: the next disable unloads nothing. */
static void test_reverse_revert(void **state)
{
	struct rig *rig = *state;

	apply(rig, &fix);
	rig->busy = "do_sys_open";
	assert_int_equal(revert(rig, "fix"), 0);
	settle(rig, 100);
	assert_int_equal(echo(rig, "fix", SUTURE_SET_ENABLED, 1), 0);
	rig->busy = NULL;
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_APPLIED);
	assert_int_equal(disable(rig, "fix"), 0);
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_DISABLED);
}

static void test_reverse_twice(void **state)
{
	struct rig *rig = *state;

	rig->busy = "do_sys_open";
	assert_int_equal(insmod_payload(rig, &fix), 0);
	settle(rig, 30);
	/* the switch to unpatched has nothing to do, so be quicker than the next tick */
	assert_int_equal(disable(rig, "fix"), 0);
	assert_int_equal(echo(rig, "fix", SUTURE_SET_ENABLED, 1), 0);
	rig->busy = NULL;
	settle(rig, 50);
	assert_phase(rig, "fix", PHASE_APPLIED);
	assert_int_equal(count_redirects(rig), 2);
}

static void test_force(void **state)
{
	struct rig *rig = *state;

	apply(rig, &fix);
	assert_int_equal(echo(rig, "fix", SUTURE_SET_FORCE, 1), -EINVAL);
	assert_int_equal(echo(rig, "fix", SUTURE_SET_FORCE, 0), 0);
	rig->busy = "do_sys_open";
	assert_int_equal(disable(rig, "fix"), 0);
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_UNPATCHING);
	rig_clear(rig);
	assert_int_equal(echo(rig, "fix", SUTURE_SET_FORCE, 1), 0);
	settle(rig, 100);
	lines(rig, "livepatch: forcing remaining tasks to the patched state",
	      "livepatch: 'fix': completing unpatching transition",
	      "fix: post_unpatch_callback: vmlinux", "livepatch: 'fix': unpatching complete");
	assert_int_equal(count_redirects(rig), 0);
	assert_int_equal(query(rig, "fix").forced, 1);
	/* a task may still be in its code */
	assert_int_equal(rmmod_payload(rig, "fix"), -EBUSY);
	assert_int_equal(revert(rig, "fix"), -EBUSY);
	assert_why(rig, "was forced: its module stays loaded");
	assert_phase(rig, "fix", PHASE_DISABLED);
	assert_string_equal(info(rig, "fix").why,
			    "disabled in the guest by s?h (pid 412), by force: its module stays "
			    "loaded until the guest boots again");
}

/* Switched off in the guest before it was on. */
static void test_sysfs_reverses_an_upload(void **state)
{
	struct rig *rig = *state;

	rig->busy = "do_sys_open";
	assert_int_equal(upload(rig, &fix), 0);
	settle(rig, 100);
	assert_int_equal(disable(rig, "fix"), 0);
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_DISABLED);
	assert_string_equal(info(rig, "fix").why, "disabled in the guest by s?h (pid 412)");
}

/* The operator's revert, forced: off, but never unloaded. */
static void test_forced_revert(void **state)
{
	struct rig *rig = *state;

	apply(rig, &fix);
	rig->busy = "do_sys_open";
	assert_int_equal(revert(rig, "fix"), 0);
	settle(rig, 100);
	assert_int_equal(echo(rig, "fix", SUTURE_SET_FORCE, 1), 0);
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_DISABLED);
	assert_text(info(rig, "fix").why, "off by force");
	assert_int_equal(count_redirects(rig), 0);
	assert_int_equal(rig_payload(rig, "fix")->state, LIVE);
	assert_true(rig_payload(rig, "fix")->known);
}

/* ---- modules that come while a transition waits ---- */

static const struct def both = {
	.name = "both",
	.objects = {{"vmlinux", ALL_CALLBACKS}, {"m", ALL_CALLBACKS}},
	.funcs = {{0, "do_sys_open"}, {1, "mf"}},
};

/* Until the switch all code is the old one, also that of a coming module. */
static void test_module_comes_while_patching(void **state)
{
	struct rig *rig = *state;

	rig->busy = "do_sys_open";
	assert_int_equal(upload(rig, &both), 0);
	settle(rig, 100);
	assert_int_equal(insmod(rig, "m"), 0);
	assert_int_equal(rig->switches, 0);
	assert_int_equal(runs(rig, "m", "mf"), 0);
	rig->busy = NULL;
	settle(rig, 100);
	assert_phase(rig, "both", PHASE_APPLIED);
	assert_int_equal(rig->switches, 1);
	assert_int_not_equal(runs(rig, "m", "mf"), 0);
	assert_true(rig_payload(rig, "both")->post[1]);
}

/* Until a revert is switched, all code is the patched one. */
static void test_module_comes_while_unpatching(void **state)
{
	struct rig *rig = *state;

	apply(rig, &both);
	rig->busy = "do_sys_open";
	assert_int_equal(revert(rig, "both"), 0);
	settle(rig, 100);
	assert_phase(rig, "both", PHASE_UNPATCHING);
	assert_int_equal(insmod(rig, "m"), 0);
	assert_int_not_equal(runs(rig, "m", "mf"), 0);
	assert_false(rig_payload(rig, "both")->post[1]);
	rig->busy = NULL;
	settle(rig, 100);
	assert_phase(rig, "both", PHASE_REVERTED);
	assert_int_equal(count_redirects(rig), 0);
	assert_false(rig_payload(rig, "both")->pre[1]);
}

/* No pause succeeds for seconds: the load is refused, and nothing has changed. */
static void test_module_cannot_be_switched(void **state)
{
	struct rig *rig = *state;

	apply(rig, &both);
	rig->short_pause = true;
	assert_int_equal(insmod(rig, "m"), -EAGAIN);
	assert_false(rig_payload(rig, "both")->pre[1]);
	rig->short_pause = false;
	assert_int_equal(insmod(rig, "m"), 0);
	assert_int_not_equal(runs(rig, "m", "mf"), 0);
	/* nothing stops it from going: what is left is dropped by the agent */
	rig->short_pause = rig->silent_drop = true;
	rmmod(rig, "m");
	assert_false(rig_payload(rig, "both")->pre[1]);
	rig->short_pause = false;
	assert_int_equal(insmod(rig, "m"), 0);
	assert_int_not_equal(runs(rig, "m", "mf"), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		T(test_life),
		T(test_again_and_again),
		T(test_records_are_bounded),
		T(test_sysfs_disable_then_revert),
		T(test_guest_patch),
		T(test_retry),
		T(test_budget_grows),
		T(test_not_before_live),
		T(test_revert_while_patching),
		T(test_reverse_disable),
		T(test_reverse_revert),
		T(test_reverse_twice),
		T(test_clear),
		T(test_force),
		T(test_sysfs_reverses_an_upload),
		T(test_forced_revert),
		T(test_module_comes_while_patching),
		T(test_module_comes_while_unpatching),
		T(test_module_cannot_be_switched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
