/* SPDX-License-Identifier: BSD-2-Clause */
/* Refused requests of the operator, and loads and switches that fail. */
#include "engine_rig.h"

/* ---- refusals of the operator ---- */

static void test_upload_refusals(void **state)
{
	struct rig *rig = *state;

	rig->build_id[0]++;
	{
		struct bundle b;
		size_t size;
		u8 *data = make_bundle(rig, &fix, &size);

		rig->build_id[0]--;
		assert_int_equal(bundle_parse(&b, data, size, rig->why, sizeof(rig->why)), 0);
		assert_int_equal(engine_upload(rig->e, &b, rig->why, sizeof(rig->why)), -ENOEXEC);
		assert_why(rig, "for the kernel with build-id accd0102030000");
		assert_why(rig, "the guest runs abcd0102030000");
		rig_free(rig, data, size);
	}
	apply(rig, &fix);
	rig->version = "another";
	assert_int_equal(upload(rig, &fix), -EEXIST);
	assert_why(rig, "patch 'fix' is applied already: `suture revert fix` first");
	assert_int_equal(revert(rig, "nothing"), -ENOENT);
	assert_why(rig, "'nothing' is not applied; `suture list` shows what is");
	assert_int_equal(revert(rig, "fix"), 0);
	settle(rig, 100);
	assert_int_equal(revert(rig, "fix"), -ENOENT);

	rig->busy = "do_sys_open";
	assert_int_equal(upload(rig, &fix), 0);
	assert_int_equal(upload(rig, &other), -EBUSY);
	assert_why(rig, "patch 'fix' is uploaded");
	settle(rig, 100);
	assert_int_equal(upload(rig, &other), -EBUSY);
	assert_why(rig, "patch 'fix' is patching: wait for it, or `suture revert fix`");
	assert_int_equal(insmod_payload(rig, &other), -EBUSY);
}

static void test_agent_absent(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(engine_agent_bye(rig->e), 0);
	assert_false(engine_agent_present(rig->e));
	assert_int_equal(upload(rig, &fix), -ESRCH);
	assert_why(rig, "no agent in the guest");
	engine_agent_hello(rig->e);
	apply(rig, &fix);
	/* the guest hangs */
	rig->now_us += 12000000;
	assert_int_equal(revert(rig, "fix"), -ESRCH);
	assert_why(rig, "agent silent for 12 s");
	assert_phase(rig, "fix", PHASE_APPLIED);
	assert_int_equal(upload(rig, &other), -ESRCH);
	settle(rig, 1);
	assert_int_equal(revert(rig, "fix"), 0);
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_REVERTED);
}

static void test_revert_of_another_in_transition(void **state)
{
	struct rig *rig = *state;

	apply(rig, &other);
	rig->busy = "do_sys_open";
	assert_int_equal(upload(rig, &fix), 0);
	settle(rig, 100);
	assert_int_equal(revert(rig, "other"), -EBUSY);
	assert_why(rig, "'fix' is patching");
	assert_int_equal(disable(rig, "other"), -EBUSY);
}

static void test_revert_before_load(void **state)
{
	struct rig *rig = *state;
	struct suture_work w = {0};

	assert_int_equal(upload(rig, &fix), 0);
	assert_int_equal(revert(rig, "fix"), 0);
	assert_phase(rig, "fix", PHASE_REVERTED);
	engine_work(rig->e, &w);
	assert_int_equal(w.kind, SUTURE_WORK_NONE);
	assert_int_equal(w.active, 0);
	assert_int_equal(upload(rig, &fix), 0);
	engine_work(rig->e, &w);
	assert_int_equal(w.kind, SUTURE_WORK_LOAD);
	assert_int_equal(w.active, 1);
	assert_int_equal(revert(rig, "fix"), -EBUSY);
	assert_why(rig, "'fix' is loading");
}

/* ---- loads that fail ---- */

static void test_load_fails(void **state)
{
	struct rig *rig = *state;

	rig_add(rig, &fix)->load_error = -ENOEXEC;
	assert_int_equal(upload(rig, &fix), 0);
	settle(rig, 10);
	assert_phase(rig, "fix", PHASE_FAILED);
	assert_int_equal(info(rig, "fix").error, -ENOEXEC);
	assert_text(info(rig, "fix").why, "did not load the payload: init_module: see dmesg");
	rig_payload(rig, "fix")->load_error = 0;
	apply(rig, &fix);
}

/* The guest hangs between upload and fetch: the operator hears of it in seconds. */
static void test_load_never_fetched(void **state)
{
	struct rig *rig = *state;

	rig->stopped = true;
	assert_int_equal(upload(rig, &fix), 0);
	settle(rig, 9000);
	assert_phase(rig, "fix", PHASE_UPLOADED);
	settle(rig, 2000);
	assert_phase(rig, "fix", PHASE_FAILED);
	assert_int_equal(info(rig, "fix").error, -ESRCH);
	assert_text(info(rig, "fix").why,
		    "agent silent for 10 s: the guest hangs, or is stopped; nothing was loaded");
}

static void test_load_never_reported(void **state)
{
	struct rig *rig = *state;
	struct suture_work w = {0};

	rig->stopped = true;
	assert_int_equal(upload(rig, &fix), 0);
	engine_work(rig->e, &w);
	assert_int_equal(w.kind, SUTURE_WORK_LOAD);
	fetch_payload(rig, &w);
	settle(rig, 59000);
	assert_phase(rig, "fix", PHASE_LOADING);
	settle(rig, 2000);
	assert_phase(rig, "fix", PHASE_FAILED);
	assert_int_equal(info(rig, "fix").error, -ETIMEDOUT);
	assert_text(info(rig, "fix").why, "the guest did not load the payload in 60 s: is "
					  "/usr/lib/suture/ there? see `suture log`");
}

static void test_payload_without_patch(void **state)
{
	struct rig *rig = *state;

	rig_add(rig, &fix)->no_patch = true;
	assert_int_equal(upload(rig, &fix), 0);
	settle(rig, 10);
	assert_phase(rig, "fix", PHASE_FAILED);
	assert_text(info(rig, "fix").why, "did not call klp_enable_patch()");
	assert_int_equal(rig_payload(rig, "fix")->state, ABSENT);
}

static void test_pre_patch_refuses(void **state)
{
	struct rig *rig = *state;

	rig_add(rig, &fix)->pre_patch_ret = -ENODEV;
	assert_int_equal(upload(rig, &fix), 0);
	settle(rig, 10);
	assert_phase(rig, "fix", PHASE_FAILED);
	assert_int_equal(info(rig, "fix").error, -ENODEV);
	assert_text(info(rig, "fix").why, "pre_patch callback of object 'vmlinux' refused");
	/* what a callback returns need not be an errno */
	rig_payload(rig, "fix")->pre_patch_ret = 5;
	assert_int_equal(insmod_payload(rig, &fix), -EINVAL);
}

/* The payload's init fails behind klp_enable_patch(). */
static void test_init_fails(void **state)
{
	struct rig *rig = *state;

	rig_add(rig, &fix)->init_fails = true;
	assert_int_equal(upload(rig, &fix), 0);
	settle(rig, 10);
	assert_phase(rig, "fix", PHASE_FAILED);
	assert_text(info(rig, "fix").why, "init failed after klp_enable_patch()");
	lines(rig, "livepatch: enabling patch 'fix'",
	      "livepatch: 'fix': initializing patching transition",
	      "fix: pre_patch_callback: vmlinux", "livepatch: 'fix': starting patching transition",
	      "livepatch: 'fix': canceling patching transition, going to unpatch",
	      "livepatch: 'fix': completing unpatching transition",
	      "fix: post_unpatch_callback: vmlinux", "livepatch: 'fix': unpatching complete");
	assert_int_equal(rig->switches, 0);
	rig_payload(rig, "fix")->init_fails = false;
	apply(rig, &fix);
}

/* The helper is given up while the payload's init runs, behind klp_enable_patch(). */
static struct rig_payload *load_error_after_declare(struct rig *rig)
{
	struct rig_payload *p = rig_add(rig, &fix);
	struct suture_work w = {0};
	struct suture_loaded l = {.result = -EIO};

	assert_int_equal(upload(rig, &fix), 0);
	engine_work(rig->e, &w);
	p->state = COMING;
	p->known = true;
	assert_int_equal(declare(rig, p), 0);
	assert_int_equal(pump(rig, SUTURE_PUMP_INIT, "fix", ""), 0);
	l.id = w.id;
	memset(l.text, 'x', sizeof(l.text)); /* not terminated */
	assert_int_equal(engine_loaded(rig->e, &l), 0);
	assert_int_equal(engine_loaded(rig->e, &l), -ENOENT);
	settle(rig, 50);
	assert_phase(rig, "fix", PHASE_UNPATCHING);
	return p;
}

static void test_load_error_and_init_ends(void **state)
{
	struct rig *rig = *state;
	struct rig_payload *p = load_error_after_declare(rig);

	p->state = LIVE;
	tell_module(rig, "fix", SUTURE_MODULE_LIVE, payload_text(0));
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_FAILED);
	assert_text(info(rig, "fix").why, "the guest did not load the payload: xxx");
	assert_int_equal(p->state, ABSENT);
	assert_int_equal(rig->switches, 0);
	apply(rig, &fix);
}

static void test_load_error_and_init_fails(void **state)
{
	struct rig *rig = *state;
	struct rig_payload *p = load_error_after_declare(rig);

	tell_module(rig, "fix", SUTURE_MODULE_GOING, payload_text(0));
	assert_int_equal(pump(rig, SUTURE_PUMP_MODULE, "", "fix"), -EIO);
	p->state = ABSENT;
	assert_phase(rig, "fix", PHASE_FAILED);
	assert_int_equal(rig->switches, 0);
	apply(rig, &fix);
}

/* The helper was killed or sent a false result; the module is loaded and must be applied. */
static void test_load_error_of_live_module(void **state)
{
	struct rig *rig = *state;
	struct suture_work w = {0};
	struct suture_loaded l = {.result = -EIO};

	assert_int_equal(upload(rig, &fix), 0);
	engine_work(rig->e, &w);
	assert_int_equal(insmod_payload(rig, &fix), 0);
	l.id = w.id;
	assert_int_equal(engine_loaded(rig->e, &l), 0);
	settle(rig, 50);
	assert_phase(rig, "fix", PHASE_APPLIED);
	assert_int_equal(info(rig, "fix").error, 0);
}

static void test_withdraw(void **state)
{
	struct rig *rig = *state;
	struct rig_payload *p = rig_add(rig, &fix);

	assert_int_equal(engine_withdraw(rig->e, "fix"), -ENOENT);
	p->state = COMING;
	p->known = true;
	assert_int_equal(declare(rig, p), 0);
	assert_int_equal(engine_withdraw(rig->e, "fix"), 0);
	assert_phase(rig, "fix", PHASE_FAILED);
	p->known = false;
	p->state = ABSENT;
	apply(rig, &fix);
	assert_int_equal(engine_withdraw(rig->e, "fix"), -EBUSY);
	assert_int_equal(count_redirects(rig), 2);
}

/* The agent takes one job at a time: no unload before the load has been reported. */
static void test_revert_before_load_is_reported(void **state)
{
	struct rig *rig = *state;
	struct suture_work w = {0}, next = {0};
	struct suture_loaded l = {0};
	long before;

	assert_int_equal(upload(rig, &fix), 0);
	engine_work(rig->e, &w);
	assert_int_equal(w.kind, SUTURE_WORK_LOAD);
	assert_int_equal(insmod_payload(rig, &fix), 0);
	settle(rig, 50);
	assert_phase(rig, "fix", PHASE_APPLIED);
	assert_int_equal(revert(rig, "fix"), 0);
	before = rig->allocated;
	settle(rig, 50);
	assert_phase(rig, "fix", PHASE_UNLOADING);
	assert_true(rig->allocated < before); /* the bundle is not needed any more */
	engine_work(rig->e, &next);
	assert_int_equal(next.kind, SUTURE_WORK_NONE);
	assert_int_equal(next.active, 1);
	l.id = w.id;
	assert_int_equal(engine_loaded(rig->e, &l), -ENOENT);
	settle(rig, 50);
	assert_phase(rig, "fix", PHASE_REVERTED);
}

static void test_switch_cannot_succeed(void **state)
{
	struct rig *rig = *state;
	struct patch_info i;

	rig->switch_error = -ENOSPC;
	assert_int_equal(upload(rig, &fix), 0);
	settle(rig, 100);
	i = info(rig, "fix");
	assert_int_equal(i.phase, PHASE_FAILED);
	assert_int_equal(i.error, -ENOSPC);
	assert_text(i.why, "cannot be switched on: no room");
	assert_int_equal(rig_payload(rig, "fix")->state, ABSENT);
	lines(rig, "livepatch: enabling patch 'fix'",
	      "livepatch: 'fix': initializing patching transition",
	      "fix: pre_patch_callback: vmlinux", "livepatch: 'fix': starting patching transition",
	      "livepatch: 'fix': reversing transition from patching to unpatching",
	      "livepatch: 'fix': starting unpatching transition",
	      "livepatch: 'fix': completing unpatching transition",
	      "fix: post_unpatch_callback: vmlinux", "livepatch: 'fix': unpatching complete");
	/* a patch must be taken off: attempts are repeated without limit */
	rig->switch_error = 0;
	apply(rig, &fix);
	rig->switch_error = -ENOMEM;
	assert_int_equal(revert(rig, "fix"), 0);
	settle(rig, 3000);
	assert_phase(rig, "fix", PHASE_UNPATCHING);
	assert_in_range(info(rig, "fix").revert.attempts, 2, 5);
	rig->switch_error = 0;
	settle(rig, 1500);
	assert_phase(rig, "fix", PHASE_REVERTED);
}

static void test_unload_fails(void **state)
{
	struct rig *rig = *state;

	apply(rig, &fix);
	rig->unload_error = -EBUSY;
	assert_int_equal(revert(rig, "fix"), 0);
	settle(rig, 10000);
	assert_phase(rig, "fix", PHASE_DISABLED);
	assert_int_equal(info(rig, "fix").error, -EBUSY);
	assert_text(info(rig, "fix").why, "does not unload its module: EBUSY; `suture revert fix`");
	assert_int_equal(count_redirects(rig), 0);
	rig->unload_error = 0;
	assert_int_equal(revert(rig, "fix"), 0);
	settle(rig, 10);
	assert_phase(rig, "fix", PHASE_REVERTED);
	assert_int_equal(info(rig, "fix").error, 0);
}

/* rmmod -f of a payload that is on: the redirects are gone before its memory is. */
static void test_payload_forced_out(void **state)
{
	struct rig *rig = *state;

	apply(rig, &fix);
	payload_goes(rig, rig_payload(rig, "fix"));
	assert_int_equal(count_redirects(rig), 0);
	assert_phase(rig, "fix", PHASE_FAILED);
	assert_text(info(rig, "fix").why, "unloaded by force");
	apply(rig, &fix);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		T(test_upload_refusals),
		T(test_agent_absent),
		T(test_revert_of_another_in_transition),
		T(test_revert_before_load),
		T(test_load_fails),
		T(test_load_never_fetched),
		T(test_load_never_reported),
		T(test_payload_without_patch),
		T(test_pre_patch_refuses),
		T(test_init_fails),
		T(test_load_error_and_init_ends),
		T(test_load_error_and_init_fails),
		T(test_load_error_of_live_module),
		T(test_withdraw),
		T(test_revert_before_load_is_reported),
		T(test_switch_cannot_succeed),
		T(test_unload_fails),
		T(test_payload_forced_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
