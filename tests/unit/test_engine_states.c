/* SPDX-License-Identifier: BSD-2-Clause */
/* States: document 002's rules, the older API's compatibility, and the faults that a review found.
 */
#include "engine_rig.h"

#define VMLINUX_ONLY .objects = {{"vmlinux", 0}}, .funcs = {{0, "f"}}

static const struct def a7 = {.name = "a", VMLINUX_ONLY, .states = {{.id = 7, .is_shadow = 1}}};
static const struct def b7 = {.name = "b", VMLINUX_ONLY, .states = {{.id = 7, .is_shadow = 1}}};
static const struct def r7 = {.name = "r",
			      .replace = true,
			      VMLINUX_ONLY,
			      .states = {{.id = 7, .is_shadow = 1}, {.id = 8}}};
static const struct def r0 = {.name = "r", .replace = true, VMLINUX_ONLY};
static const struct def blocked = {
	.name = "blocked", VMLINUX_ONLY, .states = {{.id = 9, .block_disable = 1}}};

static void load(struct rig *rig, const struct def *d)
{
	assert_int_equal(insmod_payload(rig, d), 0);
	settle(rig, 50);
	assert_phase(rig, d->name, PHASE_APPLIED);
}

static void off(struct rig *rig, const char *name)
{
	assert_int_equal(disable(rig, name), 0);
	settle(rig, 50);
	assert_phase(rig, name, PHASE_DISABLED);
	assert_int_equal(rmmod_payload(rig, name), 0);
}

static void test_introduced_and_removed(void **state)
{
	struct rig *rig = *state;

	load(rig, &a7);
	lines(rig, "livepatch: enabling patch 'a'",
	      "livepatch: 'a': initializing patching transition", "a: pre_patch_callback: state 7",
	      "livepatch: 'a': starting patching transition",
	      "livepatch: 'a': completing patching transition", "a: post_patch_callback: state 7",
	      "livepatch: 'a': patching complete");
	off(rig, "a");
	lines(rig, "livepatch: 'a': initializing unpatching transition",
	      "a: pre_unpatch_callback: state 7", "livepatch: 'a': starting unpatching transition",
	      "livepatch: 'a': completing unpatching transition",
	      "a: post_unpatch_callback: state 7", "a: shadow_dtor: state 7",
	      "livepatch: 'a': unpatching complete");
}

static void only_state_lines(struct rig *rig)
{
	u32 i, n = 0;

	for (i = 0; i < rig->nr_lines; i++) {
		if (strncmp(rig->log[i], "livepatch:", 10))
			rig->log[n++] = rig->log[i];
		else
			free(rig->log[i]);
	}
	rig->nr_lines = n;
}

/* In parallel: the second patch's callbacks do not run; the state leaves with the last. */
static void test_shared(void **state)
{
	struct rig *rig = *state;

	load(rig, &a7);
	rig_clear(rig);
	load(rig, &b7);
	only_state_lines(rig);
	assert_int_equal(rig->nr_lines, 0);
	off(rig, "a");
	only_state_lines(rig);
	assert_int_equal(rig->nr_lines, 0);
	assert_int_equal(rig->shadow_dtors, 0);
	/* those of the patch that is there, the others' code may be unloaded */
	off(rig, "b");
	only_state_lines(rig);
	lines(rig, "b: pre_unpatch_callback: state 7", "b: post_unpatch_callback: state 7",
	      "b: shadow_dtor: state 7");
}

/* The newer one goes first: nothing to do, the first still has it. */
static void test_shared_other_order(void **state)
{
	struct rig *rig = *state;

	load(rig, &a7);
	load(rig, &b7);
	rig_clear(rig);
	off(rig, "b");
	only_state_lines(rig);
	assert_int_equal(rig->nr_lines, 0);
	off(rig, "a");
	only_state_lines(rig);
	lines(rig, "a: pre_unpatch_callback: state 7", "a: post_unpatch_callback: state 7",
	      "a: shadow_dtor: state 7");
}

/* A replacement that has the state takes it over; its other state is new. */
static void test_taken_over(void **state)
{
	struct rig *rig = *state;

	load(rig, &a7);
	load(rig, &b7);
	rig_clear(rig);
	load(rig, &r7);
	only_state_lines(rig);
	lines(rig, "r: pre_patch_callback: state 8", "r: post_patch_callback: state 8");
	assert_int_equal(rig->shadow_dtors, 0);
	off(rig, "r");
	only_state_lines(rig);
	lines(rig, "r: pre_unpatch_callback: state 8", "r: pre_unpatch_callback: state 7",
	      "r: post_unpatch_callback: state 8", "r: post_unpatch_callback: state 7",
	      "r: shadow_dtor: state 7");
}

/* A replacement without the state removes it once, though two replaced patches share it. */
static void test_removed_by_replacement(void **state)
{
	struct rig *rig = *state;

	load(rig, &a7);
	load(rig, &b7);
	rig_clear(rig);
	load(rig, &r0);
	lines(rig, "livepatch: enabling patch 'r'",
	      "livepatch: 'r': initializing patching transition",
	      "a: pre_unpatch_callback: state 7", "livepatch: 'r': starting patching transition",
	      "livepatch: 'r': completing patching transition", "a: post_unpatch_callback: state 7",
	      "a: shadow_dtor: state 7", "livepatch: 'r': patching complete");
	assert_int_equal(rig->shadow_dtors, 1);
	assert_int_equal(rmmod_payload(rig, "a"), 0);
	assert_int_equal(rmmod_payload(rig, "b"), 0);
}

/* The replacement is reversed: states whose pre_unpatch ran get their post_patch again. */
static void test_reversed_replacement(void **state)
{
	struct rig *rig = *state;

	load(rig, &a7);
	rig->busy = "f";
	rig_clear(rig);
	assert_int_equal(insmod_payload(rig, &r0), 0);
	settle(rig, 50);
	assert_int_equal(disable(rig, "r"), 0);
	settle(rig, 50);
	assert_phase(rig, "r", PHASE_DISABLED);
	assert_phase(rig, "a", PHASE_APPLIED);
	only_state_lines(rig);
	lines(rig, "a: pre_unpatch_callback: state 7", "a: post_patch_callback: state 7");
	assert_int_equal(rig->shadow_dtors, 0);
	rig->busy = NULL;
	assert_int_equal(runs(rig, "vmlinux", "f"), payload_text(0) + 0x100);
	off(rig, "a");
}

/* What came after a replacement is not replaced when its disabling is reversed. */
static void test_replacement_spares_newer(void **state)
{
	struct rig *rig = *state;

	load(rig, &r0);
	load(rig, &a7);
	rig->busy = "f";
	assert_int_equal(disable(rig, "r"), 0);
	assert_int_equal(echo(rig, "r", SUTURE_SET_ENABLED, 1), 0);
	settle(rig, 50);
	rig->busy = NULL;
	assert_phase(rig, "r", PHASE_APPLIED);
	assert_phase(rig, "a", PHASE_APPLIED);
	assert_int_equal(runs(rig, "vmlinux", "f"), payload_text(1) + 0x100);
	off(rig, "a");
	assert_int_equal(runs(rig, "vmlinux", "f"), payload_text(0) + 0x100);
}

/* A disable is reversed: so for states. */
static void test_reversed_disable(void **state)
{
	struct rig *rig = *state;

	load(rig, &a7);
	rig->busy = "f";
	rig_clear(rig);
	assert_int_equal(disable(rig, "a"), 0);
	settle(rig, 50);
	assert_int_equal(echo(rig, "a", SUTURE_SET_ENABLED, 1), 0);
	settle(rig, 50);
	only_state_lines(rig);
	lines(rig, "a: pre_unpatch_callback: state 7", "a: post_patch_callback: state 7");
	assert_phase(rig, "a", PHASE_APPLIED);
}

/* An enable is reversed before the switch: no pre_unpatch, as no post_patch ran. */
static void test_reversed_enable(void **state)
{
	struct rig *rig = *state;

	rig->busy = "f";
	assert_int_equal(insmod_payload(rig, &a7), 0);
	settle(rig, 50);
	assert_int_equal(disable(rig, "a"), 0);
	settle(rig, 50);
	only_state_lines(rig);
	lines(rig, "a: pre_patch_callback: state 7", "a: post_unpatch_callback: state 7",
	      "a: shadow_dtor: state 7");
}

/* pre_patch of the second state refuses: the first one is undone, and the old patch is as it was.
 */
static void test_pre_patch_refuses(void **state)
{
	static const struct def three = {.name = "three",
					 .replace = true,
					 .objects = {{"vmlinux", ALL_CALLBACKS}},
					 .states = {{.id = 1}, {.id = 2}, {.id = 3}}};
	struct rig *rig = *state;
	struct rig_payload *p = rig_add(rig, &three);
	struct suture_step_reply r = {0};

	load(rig, &a7);
	rig_clear(rig);
	p->state = COMING;
	p->known = true;
	assert_int_equal(declare(rig, p), 0);
	do {
		s32 result = r.kind == SUTURE_STEP_CALLBACK && r.is_state && r.index == 2 &&
					     r.callback == SUTURE_CB_PRE_PATCH
				     ? -ENOMEM
				     : 0;

		give_step(rig, SUTURE_PUMP_INIT, "three", "", result, &r);
		if (r.kind == SUTURE_STEP_CALLBACK)
			run_callback(rig, &r);
		else if (r.kind == SUTURE_STEP_LOG)
			rig_line(rig, "livepatch: %s", r.text);
	} while (r.kind != SUTURE_STEP_DONE);
	assert_int_equal(r.result, -ENOMEM);
	lines(rig, "livepatch: enabling patch 'three'",
	      "livepatch: 'three': initializing patching transition",
	      "three: pre_patch_callback: state 1", "three: pre_patch_callback: state 2",
	      "three: pre_patch_callback: state 3",
	      "livepatch: pre-patch callback failed for state 3",
	      "livepatch: failed to enable patch 'three'",
	      "livepatch: 'three': canceling patching transition, going to unpatch",
	      "livepatch: 'three': completing unpatching transition",
	      "three: post_unpatch_callback: state 2", "three: post_unpatch_callback: state 1",
	      "livepatch: 'three': unpatching complete");
	p->known = false;
	payload_goes(rig, p);
	assert_phase(rig, "a", PHASE_APPLIED);
	off(rig, "a");
}

static void test_block_disable(void **state)
{
	struct rig *rig = *state;

	load(rig, &blocked);
	rig_clear(rig);
	assert_int_equal(disable(rig, "blocked"), -EINVAL);
	assert_int_equal(revert(rig, "blocked"), -EINVAL);
	assert_why(rig, "'blocked' cannot be reverted: its state 9 is marked block_disable");
	assert_phase(rig, "blocked", PHASE_APPLIED);
	/* nor replaced by a patch without it */
	assert_int_equal(insmod_payload(rig, &r0), -EINVAL);
	lines(rig, "livepatch: Livepatch patch (r) is not compatible with the already installed "
		   "livepatches.");
	assert_phase(rig, "r", PHASE_FAILED);
	assert_text(info(rig, "r").why,
		    "it would remove state 9 of patch 'blocked', which is marked "
		    "block_disable");
	/* a patch in parallel may come and go */
	load(rig, &a7);
	off(rig, "a");
	/* and with the state in another patch it may go itself */
	{
		static const struct def heir = {
			.name = "heir", .replace = true, VMLINUX_ONLY, .states = {{.id = 9}}};

		load(rig, &heir);
		assert_phase(rig, "blocked", PHASE_DISABLED);
		off(rig, "heir");
	}
}

/* block_disable does not stop the reversal of a transition that has not switched. */
static void test_block_disable_reversed(void **state)
{
	struct rig *rig = *state;

	rig->busy = "f";
	assert_int_equal(insmod_payload(rig, &blocked), 0);
	settle(rig, 50);
	assert_int_equal(disable(rig, "blocked"), 0);
	settle(rig, 50);
	assert_phase(rig, "blocked", PHASE_DISABLED);
}

/* The older API: klp_is_patch_compatible() for states with a version. */
static void test_versions(void **state)
{
	static const struct def v2 = {
		.name = "v2", VMLINUX_ONLY, .states = {{.id = 5, .version = 2}}};
	static const struct def v1 = {
		.name = "v1", VMLINUX_ONLY, .states = {{.id = 5, .version = 1}}};
	static const struct def v3 = {
		.name = "v3", .replace = true, VMLINUX_ONLY, .states = {{.id = 5, .version = 3}}};
	struct rig *rig = *state;

	load(rig, &v2);
	assert_int_equal(insmod_payload(rig, &v1), -EINVAL);
	assert_text(info(rig, "v1").why, "its state 5 has version 1, that of patch 'v2' has 2");
	assert_int_equal(insmod_payload(rig, &r0), -EINVAL);
	assert_text(info(rig, "r").why, "it replaces patch 'v2' without having its state 5");
	load(rig, &a7);
	load(rig, &v3);
	assert_phase(rig, "v2", PHASE_DISABLED);
	off(rig, "v3");
}

/* As in Linux, whether a patch is compatible comes before whether another one is in transition. */
static void test_compatible_comes_first(void **state)
{
	static const struct def v2 = {
		.name = "v2", VMLINUX_ONLY, .states = {{.id = 5, .version = 2}}};
	static const struct def v1 = {
		.name = "v1", VMLINUX_ONLY, .states = {{.id = 5, .version = 1}}};
	static const struct def incomplete_v1 = {.name = "w1",
						 .objects = {{"vmlinux", 0}},
						 .funcs = {{0, "missing"}},
						 .states = {{.id = 5, .version = 1}}};
	static const struct def incomplete = {
		.name = "w", .objects = {{"vmlinux", 0}}, .funcs = {{0, "g"}, {0, "missing"}}};
	struct rig *rig = *state;

	rig->busy = "f";
	assert_int_equal(insmod_payload(rig, &v2), 0);
	settle(rig, 50);
	rig_clear(rig);
	assert_int_equal(insmod_payload(rig, &v1), -EINVAL);
	lines(rig, "livepatch: Livepatch patch (v1) is not compatible with the already installed "
		   "livepatches.");
	assert_phase(rig, "v1", PHASE_FAILED);
	/* it comes before whether all functions are there, and that before the transition */
	assert_int_equal(insmod_payload(rig, &incomplete_v1), -EINVAL);
	lines(rig, "livepatch: Livepatch patch (w1) is not compatible with the already installed "
		   "livepatches.");
	assert_int_equal(insmod_payload(rig, &incomplete), -EINVAL);
	lines(rig, "livepatch: symbol 'missing' not found in symbol table");
	assert_text(info(rig, "w").why, "there is no function 'missing' in 'vmlinux'");
	assert_int_equal(insmod_payload(rig, &a7), -EBUSY);
	assert_phase(rig, "v2", PHASE_PATCHING);
	rig->busy = NULL;
	settle(rig, 2000);
	assert_phase(rig, "v2", PHASE_APPLIED);
	off(rig, "v2");
}

/* ---- the three faults that the public review of document 002's series found ---- */

/*
 * Several replaced patches share a state: it is removed once, with its shadow variables, whichever
 * of them introduced it, and whichever says that it has any.
 */
static void test_fault_shared_state_leaks(void **state)
{
	static const struct def b0 = {.name = "b", VMLINUX_ONLY, .states = {{.id = 7}}};
	static const struct def c7 = {
		.name = "c", VMLINUX_ONLY, .states = {{.id = 8}, {.id = 7, .is_shadow = 1}}};
	static const struct def *const orders[][3] = {
		{&a7, &b0, &c7}, {&b0, &a7, &c7}, {&b0, &c7, &a7}, {&c7, &b0, &a7}};
	struct rig *rig = *state;

	for (u32 i = 0; i < ARRAY_SIZE(orders); i++) {
		for (u32 gone = 0; gone < 4; gone++) {
			for (u32 j = 0; j < 3; j++)
				load(rig, orders[i][j]);
			/* one of them may leave before: the others still have it */
			if (gone < 3)
				off(rig, orders[i][gone]->name);
			assert_true(rig->state_pre[7]);
			rig->shadow_dtors = 0;
			rig->shadows[7] = 5;
			load(rig, &r0);
			assert_false(rig->state_pre[7] || rig->state_post[7]);
			assert_false(rig->state_pre[8] || rig->state_post[8]);
			assert_int_equal(rig->shadows[7], 0);
			assert_int_equal(rig->shadow_dtors, 1);
			for (u32 j = 0; j < 3; j++)
				if (j != gone)
					assert_int_equal(rmmod_payload(rig, orders[i][j]->name), 0);
			off(rig, "r");
			rig_clear(rig);
		}
	}
}

/*
 * A module that is an object of patches goes at each point of their lives: no callback of it runs
 * and nothing in it is switched afterwards (the rig looks at each callback and each address), and
 * when another one of that name comes it is a new one.
 */
static void test_fault_object_used_after_free(void **state)
{
	static const struct def first = {
		.name = "first",
		.objects = {{"vmlinux", ALL_CALLBACKS}, {"m", ALL_CALLBACKS}},
		.funcs = {{0, "f"}, {1, "mf"}}};
	static const struct def second = {
		.name = "second",
		.replace = true,
		.objects = {{"vmlinux", ALL_CALLBACKS}, {"m", ALL_CALLBACKS}},
		.funcs = {{0, "f"}, {1, "mf"}}};
	struct rig *rig = *state;

	for (u32 at = 0; at < 6; at++) {
		for (u32 comes = 0; comes < 2; comes++) {
			u32 now = 0;

#define MAYBE_GO()                                                                                 \
	do {                                                                                       \
		if (now++ == at) {                                                                 \
			rmmod(rig, "m");                                                           \
			if (comes)                                                                 \
				assert_int_equal(insmod(rig, "m"), 0);                             \
		}                                                                                  \
	} while (0)
			assert_int_equal(insmod(rig, "m"), 0);
			load(rig, &first);
			MAYBE_GO();
			rig->busy = "f";
			assert_int_equal(insmod_payload(rig, &second), 0);
			settle(rig, 30);
			MAYBE_GO();
			rig->busy = NULL;
			settle(rig, 50);
			MAYBE_GO();
			rig->busy = "f";
			assert_int_equal(rollback(rig, "second"), 0);
			settle(rig, 30);
			MAYBE_GO();
			rig->busy = NULL;
			settle(rig, 50);
			assert_phase(rig, "first", PHASE_APPLIED);
			MAYBE_GO();
			rig->busy = "f";
			assert_int_equal(disable(rig, "first"), 0);
			settle(rig, 30);
			MAYBE_GO();
			rig->busy = NULL;
			settle(rig, 50);
			assert_int_equal(rmmod_payload(rig, "first"), 0);
			assert_int_equal(count_redirects(rig), 0);
			if (rig_module(rig, "m")->state == LIVE)
				rmmod(rig, "m");
			rig_clear(rig);
		}
	}
}

/*
 * shadow_dtor in atomic context: here it is a step of its own behind post_unpatch, which the agent
 * does as it does callbacks. That it holds no lock then shows in a guest, where a destructor sleeps
 * (tests/qemu/test_shadow.py).
 */
static void test_fault_dtor_is_a_step_of_its_own(void **state)
{
	struct rig *rig = *state;
	struct suture_step_reply r;
	u32 seen = 0;

	load(rig, &a7);
	assert_int_equal(disable(rig, "a"), 0);
	engine_tick(rig->e);
	do {
		give_step(rig, SUTURE_PUMP_WORK, "a", "", 0, &r);
		if (r.kind != SUTURE_STEP_CALLBACK)
			continue;
		run_callback(rig, &r);
		seen = seen << 8 | 1u << r.callback;
	} while (r.kind != SUTURE_STEP_DONE);
	assert_int_equal(seen, 1u << SUTURE_CB_POST_UNPATCH << 8 | 1u << SUTURE_CB_SHADOW_DTOR);
	rig_payload(rig, "a")->known = false;
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		T(test_introduced_and_removed),
		T(test_shared),
		T(test_shared_other_order),
		T(test_taken_over),
		T(test_removed_by_replacement),
		T(test_reversed_replacement),
		T(test_replacement_spares_newer),
		T(test_reversed_disable),
		T(test_reversed_enable),
		T(test_pre_patch_refuses),
		T(test_block_disable),
		T(test_block_disable_reversed),
		T(test_versions),
		T(test_compatible_comes_first),
		T(test_fault_shared_state_leaks),
		T(test_fault_object_used_after_free),
		T(test_fault_dtor_is_a_step_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
