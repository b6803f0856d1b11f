/* SPDX-License-Identifier: BSD-2-Clause */
/* Rollback: whose callbacks run, for states and for modules that came and went meanwhile. */
#include "engine_rig.h"

static const struct def all = {
	.name = "all",
	.replace = true,
	.objects = {{"vmlinux", ALL_CALLBACKS}},
	.funcs = {{0, "g"}, {0, "h"}},
};

/* ---- states: those that are introduced or removed, and only those ---- */

static const struct def s1 = {.name = "s1",
			      .objects = {{"vmlinux", 0}},
			      .funcs = {{0, "f"}},
			      .states = {{.id = 1, .is_shadow = 1}, {.id = 2, .is_shadow = 1}}};
static const struct def s2 = {.name = "s2",
			      .objects = {{"vmlinux", 0}},
			      .funcs = {{0, "f"}},
			      .states = {{.id = 1, .is_shadow = 1}, {.id = 3}}};
static const struct def s3 = {.name = "s3",
			      .replace = true,
			      .objects = {{"vmlinux", ALL_CALLBACKS}},
			      .funcs = {{0, "f"}},
			      .states = {{.id = 2, .is_shadow = 1}, {.id = 4, .is_shadow = 1}}};

static void replace_states(struct rig *rig)
{
	apply(rig, &s1);
	apply(rig, &s2);
	apply(rig, &s3);
	rig_clear(rig);
}

static void test_states(void **state)
{
	struct rig *rig = *state;

	replace_states(rig);
	assert_int_equal(rig->shadows[1] + rig->shadows[2] + rig->shadows[4], 2);
	assert_int_equal(rollback(rig, "s3"), 0);
	settle(rig, 100);
	lines(rig, "livepatch: enabling patch 's1'", "livepatch: enabling patch 's2'",
	      "s1: pre_patch_callback: state 1", "s2: pre_patch_callback: state 3",
	      "livepatch: 's3': initializing unpatching transition",
	      "s3: pre_unpatch_callback: vmlinux", "s3: pre_unpatch_callback: state 4",
	      "livepatch: 's3': starting unpatching transition",
	      "livepatch: 's3': completing unpatching transition",
	      "s3: post_unpatch_callback: vmlinux", "s3: post_unpatch_callback: state 4",
	      "s3: shadow_dtor: state 4", "s1: post_patch_callback: state 1",
	      "s2: post_patch_callback: state 3", "livepatch: 's3': unpatching complete");
	assert_int_equal(rig->shadows[1], 1);
	assert_int_equal(rig->shadows[2], 1);
	assert_int_equal(rig->shadows[4], 0);
	assert_int_equal(revert(rig, "s2"), 0);
	settle(rig, 100);
	assert_int_equal(revert(rig, "s1"), 0);
	settle(rig, 100);
	assert_int_equal(rig->shadows[1] + rig->shadows[2], 0);
	assert_false(rig->state_pre[1] || rig->state_pre[2] || rig->state_pre[3]);
}

static void test_states_cancelled(void **state)
{
	struct rig *rig = *state;

	replace_states(rig);
	rig->busy = "f";
	assert_int_equal(rollback(rig, "s3"), 0);
	settle(rig, 100);
	rig_clear(rig);
	assert_int_equal(cancel(rig, "s3"), 0);
	settle(rig, 100);
	lines(rig, "livepatch: 's3': reversing transition from unpatching to patching",
	      "livepatch: 's3': starting patching transition",
	      "livepatch: 's3': completing patching transition", "s3: post_patch_callback: state 4",
	      "s3: post_patch_callback: vmlinux", "s2: post_unpatch_callback: state 3",
	      "s1: post_unpatch_callback: state 1", "s1: shadow_dtor: state 1",
	      "livepatch: 's3': patching complete");
	assert_int_equal(rig->shadows[1], 0);
	assert_int_equal(rig->shadows[2] + rig->shadows[4], 2);
}

/* A pre_patch that refuses: what was introduced before goes again, last first. */
static void test_pre_patch_refuses(void **state)
{
	struct rig *rig = *state;

	replace_states(rig);
	rig->refusal = (struct rig_refusal){.payload = "s2", .is_state = true, .index = 1};
	assert_int_equal(rollback(rig, "s3"), 0);
	settle(rig, 100);
	lines(rig, "livepatch: enabling patch 's1'", "livepatch: enabling patch 's2'",
	      "s1: pre_patch_callback: state 1", "s2: pre_patch_callback: state 3",
	      "livepatch: pre-patch callback failed for state 3",
	      "s1: post_unpatch_callback: state 1", "s1: shadow_dtor: state 1");
	assert_phase(rig, "s3", PHASE_APPLIED);
	assert_int_equal(info(rig, "s3").error, -ENODEV);
	assert_text(info(rig, "s3").why, "pre_patch callback of state 3 of patch 's2' refused");
	assert_phase(rig, "s1", PHASE_DISABLED);
	assert_int_equal(rmmod_payload(rig, "s1"), 0);
}

static void test_states_in_the_way(void **state)
{
	static const struct def blocks = {
		.name = "blocks",
		.replace = true,
		.objects = {{"vmlinux", 0}},
		.funcs = {{0, "f"}},
		.states = {{.id = 2, .block_disable = 1}, {.id = 5, .block_disable = 1}}};
	static const struct def old1 = {.name = "old1",
					.objects = {{"vmlinux", 0}},
					.funcs = {{0, "g"}},
					.states = {{.id = 6, .version = 1}}};
	static const struct def old2 = {.name = "old2",
					.replace = true,
					.objects = {{"vmlinux", 0}},
					.funcs = {{0, "g"}},
					.states = {{.id = 6, .version = 2}}};
	struct rig *rig = *state;

	apply(rig, &s1);
	apply(rig, &blocks);
	assert_int_equal(rollback(rig, "blocks"), -EINVAL);
	assert_why(rig, "its state 5 is marked block_disable, and no other patch has it");
	engine_kernel_gone(rig->e, "the test begins anew");
	rig_stop(rig);
	rig_start(rig);
	apply(rig, &old1);
	apply(rig, &old2);
	assert_int_equal(rollback(rig, "old2"), -EINVAL);
	assert_why(rig, "it took over state 6, which has a version, from 'old1'");
}

/* ---- modules ---- */

static const struct def with_m = {
	.name = "with_m",
	.objects = {{"vmlinux", ALL_CALLBACKS}, {"m", ALL_CALLBACKS}},
	.funcs = {{0, "f"}, {1, "mf"}},
};

/* The module is the one that saw the callbacks: they do not run again. */
static void test_same_module(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(insmod(rig, "m"), 0);
	apply(rig, &with_m);
	apply(rig, &all);
	assert_int_equal(runs(rig, "m", "mf"), 0);
	rig_clear(rig);
	assert_int_equal(rollback(rig, "all"), 0);
	settle(rig, 100);
	assert_int_not_equal(runs(rig, "m", "mf"), 0);
	lines(rig, "livepatch: enabling patch 'with_m'",
	      "livepatch: 'all': initializing unpatching transition",
	      "all: pre_unpatch_callback: vmlinux",
	      "livepatch: 'all': starting unpatching transition",
	      "livepatch: 'all': completing unpatching transition",
	      "all: post_unpatch_callback: vmlinux", "livepatch: 'all': unpatching complete");
	rmmod(rig, "m");
	assert_false(rig_payload(rig, "with_m")->pre[1]);
}

/* It went, and came again somewhere else: it is new to the patch that returns. */
static void test_other_module(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(insmod(rig, "m"), 0);
	apply(rig, &with_m);
	apply(rig, &all);
	rmmod(rig, "m");
	assert_int_equal(insmod(rig, "m"), 0);
	rig_clear(rig);
	assert_int_equal(rollback(rig, "all"), 0);
	settle(rig, 100);
	lines(rig, "livepatch: enabling patch 'with_m'",
	      "with_m: pre_patch_callback: m -> [MODULE_STATE_LIVE] Normal state",
	      "livepatch: 'all': initializing unpatching transition",
	      "all: pre_unpatch_callback: vmlinux",
	      "livepatch: 'all': starting unpatching transition",
	      "livepatch: 'all': completing unpatching transition",
	      "all: post_unpatch_callback: vmlinux",
	      "with_m: post_patch_callback: m -> [MODULE_STATE_LIVE] Normal state",
	      "livepatch: 'all': unpatching complete");
	assert_int_not_equal(runs(rig, "m", "mf"), 0);
}

/* It is gone when the patch returns, and comes later; or it goes and comes in the middle. */
static void test_module_comes_and_goes(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(insmod(rig, "m"), 0);
	apply(rig, &with_m);
	apply(rig, &all);
	rmmod(rig, "m");
	rig->busy = "h";
	assert_int_equal(rollback(rig, "all"), 0);
	settle(rig, 100);
	/* it joins the switch: the world is the old one until then */
	assert_int_equal(insmod(rig, "m"), 0);
	assert_int_equal(runs(rig, "m", "mf"), 0);
	assert_true(rig_payload(rig, "with_m")->pre[1]);
	assert_false(rig_payload(rig, "with_m")->post[1]);
	rmmod(rig, "m");
	assert_false(rig_payload(rig, "with_m")->pre[1]);
	assert_int_equal(insmod(rig, "m"), 0);
	rig->busy = NULL;
	settle(rig, 100);
	assert_int_not_equal(runs(rig, "m", "mf"), 0);
	assert_true(rig_payload(rig, "with_m")->post[1]);
	rmmod(rig, "m");
	assert_int_equal(insmod(rig, "m"), 0);
	assert_int_not_equal(runs(rig, "m", "mf"), 0);
}

/* Cancelled: an object that was new sees its post_unpatch. */
static void test_module_cancelled(void **state)
{
	struct rig *rig = *state;

	apply(rig, &with_m);
	apply(rig, &all);
	assert_int_equal(insmod(rig, "m"), 0);
	rig->busy = "h";
	assert_int_equal(rollback(rig, "all"), 0);
	settle(rig, 100);
	assert_true(rig_payload(rig, "with_m")->pre[1]);
	assert_int_equal(cancel(rig, "all"), 0);
	settle(rig, 100);
	assert_false(rig_payload(rig, "with_m")->pre[1]);
	assert_true(rig_payload(rig, "with_m")->post[0]);
	rig->busy = NULL;
	/* the module's callback refuses: nothing has changed */
	rig->refusal = (struct rig_refusal){.payload = "with_m", .index = 1};
	assert_int_equal(rollback(rig, "all"), 0);
	settle(rig, 100);
	assert_phase(rig, "all", PHASE_APPLIED);
	assert_text(info(rig, "all").why, "of object 'm' of patch 'with_m' refused");
	assert_int_equal(runs(rig, "m", "mf"), 0);
	assert_int_not_equal(runs(rig, "vmlinux", "h"), 0);
	rig->refusal.payload = NULL;
	assert_int_equal(rollback(rig, "all"), 0);
	settle(rig, 100);
	assert_phase(rig, "with_m", PHASE_APPLIED);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		T(test_states),
		T(test_states_cancelled),
		T(test_pre_patch_refuses),
		T(test_states_in_the_way),
		T(test_same_module),
		T(test_other_module),
		T(test_module_comes_and_goes),
		T(test_module_cancelled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
