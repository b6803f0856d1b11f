/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tests 1 to 9 of document 001, messages as there, and those of Linux's selftest test-callbacks.sh
 * that the document does not have.
 */
#include "engine_rig.h"

static const struct def demo = {
	.name = "livepatch_callbacks_demo",
	.objects = {{"vmlinux", ALL_CALLBACKS},
		    {"livepatch_callbacks_mod", ALL_CALLBACKS},
		    {"livepatch_callbacks_busymod", ALL_CALLBACKS}},
	.funcs = {{2, "busymod_work_func"}},
};

static const struct def demo2 = {
	.name = "livepatch_callbacks_demo2",
	.objects = {{"vmlinux", ALL_CALLBACKS}},
};

static const struct def demo2_replace = {
	.name = "livepatch_callbacks_demo2",
	.replace = true,
	.objects = {{"vmlinux", ALL_CALLBACKS}},
};

#define DEMO	  "livepatch_callbacks_demo"
#define MOD	  "livepatch_callbacks_mod"
#define BUSYMOD	  "livepatch_callbacks_busymod"
#define IS_LIVE	  " -> [MODULE_STATE_LIVE] Normal state"
#define IS_COMING " -> [MODULE_STATE_COMING] Full formed, running module_init"
#define IS_GOING  " -> [MODULE_STATE_GOING] Going away"

static int teardown(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(count_redirects(rig), 0);
	rig_stop(rig);
	return 0;
}

static void load_demo(struct rig *rig)
{
	assert_int_equal(insmod_payload(rig, &demo), 0);
	settle(rig, 100);
	assert_phase(rig, DEMO, PHASE_APPLIED);
	assert_int_equal(query(rig, DEMO).enabled, 1);
	assert_int_equal(query(rig, DEMO).transition, 0);
	assert_int_equal(query(rig, DEMO).patched & 1, 1);
}

static void disable_demo(struct rig *rig)
{
	assert_int_equal(disable(rig, DEMO), 0);
	settle(rig, 100);
	assert_phase(rig, DEMO, PHASE_DISABLED);
	assert_int_equal(query(rig, DEMO).enabled, 0);
	assert_int_equal(query(rig, DEMO).patched, 0);
}

static void unload_demo(struct rig *rig)
{
	assert_int_equal(rmmod_payload(rig, DEMO), 0);
}

/* It is disabled and unloaded while the module is there, and then the module goes. */
static void end_with_module(struct rig *rig)
{
	disable_demo(rig);
	lines(rig, "livepatch: 'livepatch_callbacks_demo': initializing unpatching transition",
	      "livepatch_callbacks_demo: pre_unpatch_callback: vmlinux",
	      "livepatch_callbacks_demo: pre_unpatch_callback: livepatch_callbacks_mod" IS_LIVE,
	      "livepatch: 'livepatch_callbacks_demo': starting unpatching transition",
	      "livepatch: 'livepatch_callbacks_demo': completing unpatching transition",
	      "livepatch_callbacks_demo: post_unpatch_callback: vmlinux",
	      "livepatch_callbacks_demo: post_unpatch_callback: livepatch_callbacks_mod" IS_LIVE,
	      "livepatch: 'livepatch_callbacks_demo': unpatching complete");
	unload_demo(rig);
	rmmod(rig, MOD);
	lines(rig, MOD ": exit");
}

/* Test 1: target module, livepatch, disabled, target module gone. */
static void test_1(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(insmod(rig, MOD), 0);
	rig_clear(rig);
	load_demo(rig);
	lines(rig, "livepatch: enabling patch 'livepatch_callbacks_demo'",
	      "livepatch: 'livepatch_callbacks_demo': initializing patching transition",
	      "livepatch_callbacks_demo: pre_patch_callback: vmlinux",
	      "livepatch_callbacks_demo: pre_patch_callback: livepatch_callbacks_mod" IS_LIVE,
	      "livepatch: 'livepatch_callbacks_demo': starting patching transition",
	      "livepatch: 'livepatch_callbacks_demo': completing patching transition",
	      "livepatch_callbacks_demo: post_patch_callback: vmlinux",
	      "livepatch_callbacks_demo: post_patch_callback: livepatch_callbacks_mod" IS_LIVE,
	      "livepatch: 'livepatch_callbacks_demo': patching complete");
	end_with_module(rig);
}

static void expect_enabled_without_modules(struct rig *rig)
{
	lines(rig, "livepatch: enabling patch 'livepatch_callbacks_demo'",
	      "livepatch: 'livepatch_callbacks_demo': initializing patching transition",
	      "livepatch_callbacks_demo: pre_patch_callback: vmlinux",
	      "livepatch: 'livepatch_callbacks_demo': starting patching transition",
	      "livepatch: 'livepatch_callbacks_demo': completing patching transition",
	      "livepatch_callbacks_demo: post_patch_callback: vmlinux",
	      "livepatch: 'livepatch_callbacks_demo': patching complete");
}

static void end_without_modules(struct rig *rig)
{
	disable_demo(rig);
	lines(rig, "livepatch: 'livepatch_callbacks_demo': initializing unpatching transition",
	      "livepatch_callbacks_demo: pre_unpatch_callback: vmlinux",
	      "livepatch: 'livepatch_callbacks_demo': starting unpatching transition",
	      "livepatch: 'livepatch_callbacks_demo': completing unpatching transition",
	      "livepatch_callbacks_demo: post_unpatch_callback: vmlinux",
	      "livepatch: 'livepatch_callbacks_demo': unpatching complete");
	unload_demo(rig);
}

static void expect_mod_came(struct rig *rig)
{
	lines(rig,
	      "livepatch: applying patch 'livepatch_callbacks_demo' to loading module "
	      "'livepatch_callbacks_mod'",
	      "livepatch_callbacks_demo: pre_patch_callback: livepatch_callbacks_mod" IS_COMING,
	      "livepatch_callbacks_demo: post_patch_callback: livepatch_callbacks_mod" IS_COMING,
	      MOD ": init");
}

static void expect_mod_went(struct rig *rig)
{
	lines(rig, MOD ": exit",
	      "livepatch_callbacks_demo: pre_unpatch_callback: livepatch_callbacks_mod" IS_GOING,
	      "livepatch: reverting patch 'livepatch_callbacks_demo' on unloading module "
	      "'livepatch_callbacks_mod'",
	      "livepatch_callbacks_demo: post_unpatch_callback: livepatch_callbacks_mod" IS_GOING);
}

/* Test 2: the target module comes after the livepatch. */
static void test_2(void **state)
{
	struct rig *rig = *state;

	load_demo(rig);
	expect_enabled_without_modules(rig);
	assert_int_equal(insmod(rig, MOD), 0);
	expect_mod_came(rig);
	end_with_module(rig);
}

/* Test 3: the target module goes while the livepatch is on. */
static void test_3(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(insmod(rig, MOD), 0);
	load_demo(rig);
	rig_clear(rig);
	rmmod(rig, MOD);
	expect_mod_went(rig);
	end_without_modules(rig);
}

/* Test 4: it comes and goes while the livepatch is on. */
static void test_4(void **state)
{
	struct rig *rig = *state;

	load_demo(rig);
	expect_enabled_without_modules(rig);
	assert_int_equal(query(rig, DEMO).patched, 1);
	assert_int_equal(insmod(rig, MOD), 0);
	expect_mod_came(rig);
	assert_int_equal(query(rig, DEMO).patched, 3);
	rmmod(rig, MOD);
	expect_mod_went(rig);
	assert_int_equal(query(rig, DEMO).patched, 1);
	end_without_modules(rig);
}

/* Test 5: it is never there. */
static void test_5(void **state)
{
	struct rig *rig = *state;

	load_demo(rig);
	expect_enabled_without_modules(rig);
	end_without_modules(rig);
}

/*
 * Test 6: pre_patch of vmlinux refuses. Linux 6.1 says "canceling patching transition" where the
 * document has "canceling transition".
 */
static void test_6(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(insmod(rig, MOD), 0);
	rig_clear(rig);
	rig_add(rig, &demo)->pre_patch_ret = -ENODEV;
	assert_int_equal(insmod_payload(rig, &demo), -ENODEV);
	lines(rig, "livepatch: enabling patch 'livepatch_callbacks_demo'",
	      "livepatch: 'livepatch_callbacks_demo': initializing patching transition",
	      "livepatch_callbacks_demo: pre_patch_callback: vmlinux",
	      "livepatch: pre-patch callback failed for object 'vmlinux'",
	      "livepatch: failed to enable patch 'livepatch_callbacks_demo'",
	      "livepatch: 'livepatch_callbacks_demo': canceling patching transition, going to "
	      "unpatch",
	      "livepatch: 'livepatch_callbacks_demo': completing unpatching transition",
	      "livepatch: 'livepatch_callbacks_demo': unpatching complete");
	assert_phase(rig, DEMO, PHASE_FAILED);
	assert_text(info(rig, DEMO).why, "pre_patch callback of object 'vmlinux' refused");
	rmmod(rig, MOD);
	lines(rig, MOD ": exit");
	/* nothing is left of it */
	rig_payload(rig, DEMO)->pre_patch_ret = 0;
	load_demo(rig);
	disable_demo(rig);
	unload_demo(rig);
}

/* Test 7: pre_patch of a coming module refuses: so does its load. */
static void test_7(void **state)
{
	struct rig *rig = *state;

	load_demo(rig);
	expect_enabled_without_modules(rig);
	rig_payload(rig, DEMO)->pre_patch_ret = -ENODEV;
	assert_int_equal(insmod(rig, MOD), -ENODEV);
	lines(rig,
	      "livepatch: applying patch 'livepatch_callbacks_demo' to loading module "
	      "'livepatch_callbacks_mod'",
	      "livepatch_callbacks_demo: pre_patch_callback: livepatch_callbacks_mod" IS_COMING,
	      "livepatch: pre-patch callback failed for object 'livepatch_callbacks_mod'",
	      "livepatch: patch 'livepatch_callbacks_demo' failed for module "
	      "'livepatch_callbacks_mod', refusing to load module 'livepatch_callbacks_mod'");
	end_without_modules(rig);
}

/* Test 8: several target modules. */
static void test_8(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(insmod(rig, BUSYMOD), 0);
	rig_clear(rig);
	load_demo(rig);
	lines(rig, "livepatch: enabling patch 'livepatch_callbacks_demo'",
	      "livepatch: 'livepatch_callbacks_demo': initializing patching transition",
	      "livepatch_callbacks_demo: pre_patch_callback: vmlinux",
	      "livepatch_callbacks_demo: pre_patch_callback: livepatch_callbacks_busymod" IS_LIVE,
	      "livepatch: 'livepatch_callbacks_demo': starting patching transition",
	      "livepatch: 'livepatch_callbacks_demo': completing patching transition",
	      "livepatch_callbacks_demo: post_patch_callback: vmlinux",
	      "livepatch_callbacks_demo: post_patch_callback: livepatch_callbacks_busymod" IS_LIVE,
	      "livepatch: 'livepatch_callbacks_demo': patching complete");
	assert_int_not_equal(runs(rig, BUSYMOD, "busymod_work_func"), 0);
	assert_int_equal(insmod(rig, MOD), 0);
	expect_mod_came(rig);
	rmmod(rig, MOD);
	expect_mod_went(rig);
	disable_demo(rig);
	lines(rig, "livepatch: 'livepatch_callbacks_demo': initializing unpatching transition",
	      "livepatch_callbacks_demo: pre_unpatch_callback: vmlinux",
	      "livepatch_callbacks_demo: pre_unpatch_callback: livepatch_callbacks_busymod" IS_LIVE,
	      "livepatch: 'livepatch_callbacks_demo': starting unpatching transition",
	      "livepatch: 'livepatch_callbacks_demo': completing unpatching transition",
	      "livepatch_callbacks_demo: post_unpatch_callback: vmlinux",
	      "livepatch_callbacks_demo: post_unpatch_callback: "
	      "livepatch_callbacks_busymod" IS_LIVE,
	      "livepatch: 'livepatch_callbacks_demo': unpatching complete");
	assert_int_equal(runs(rig, BUSYMOD, "busymod_work_func"), 0);
	unload_demo(rig);
	rmmod(rig, BUSYMOD);
}

/* Test 9: a task sleeps in the function; modules come and go meanwhile; then it is reversed. */
static void test_9(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(insmod(rig, BUSYMOD), 0);
	rig_clear(rig);
	rig->busy = "busymod_work_func";
	assert_int_equal(insmod_payload(rig, &demo), 0);
	settle(rig, 100);
	assert_phase(rig, DEMO, PHASE_PATCHING);
	assert_int_equal(query(rig, DEMO).transition, 1);
	lines(rig, "livepatch: enabling patch 'livepatch_callbacks_demo'",
	      "livepatch: 'livepatch_callbacks_demo': initializing patching transition",
	      "livepatch_callbacks_demo: pre_patch_callback: vmlinux",
	      "livepatch_callbacks_demo: pre_patch_callback: livepatch_callbacks_busymod" IS_LIVE,
	      "livepatch: 'livepatch_callbacks_demo': starting patching transition");
	assert_int_equal(insmod(rig, MOD), 0);
	lines(rig,
	      "livepatch: applying patch 'livepatch_callbacks_demo' to loading module "
	      "'livepatch_callbacks_mod'",
	      "livepatch_callbacks_demo: pre_patch_callback: livepatch_callbacks_mod" IS_COMING,
	      MOD ": init");
	rmmod(rig, MOD);
	lines(rig, MOD ": exit",
	      "livepatch: reverting patch 'livepatch_callbacks_demo' on unloading module "
	      "'livepatch_callbacks_mod'",
	      "livepatch_callbacks_demo: post_unpatch_callback: livepatch_callbacks_mod" IS_GOING);
	disable_demo(rig);
	lines(rig,
	      "livepatch: 'livepatch_callbacks_demo': reversing transition from patching to "
	      "unpatching",
	      "livepatch: 'livepatch_callbacks_demo': starting unpatching transition",
	      "livepatch: 'livepatch_callbacks_demo': completing unpatching transition",
	      "livepatch_callbacks_demo: post_unpatch_callback: vmlinux",
	      "livepatch_callbacks_demo: post_unpatch_callback: "
	      "livepatch_callbacks_busymod" IS_LIVE,
	      "livepatch: 'livepatch_callbacks_demo': unpatching complete");
	unload_demo(rig);
	rmmod(rig, BUSYMOD);
	assert_int_equal(rig->switches, 0);
}

/* An object that is patched when another one's pre_patch refuses gets its post_unpatch only. */
static void test_failing_second_object(void **state)
{
	static const struct def two = {
		.name = "two",
		.objects = {{"vmlinux", ALL_CALLBACKS}, {"m", 1u << SUTURE_CB_PRE_PATCH}},
	};
	struct rig *rig = *state;
	struct suture_step_reply r;
	struct rig_payload *p = rig_add(rig, &two);

	assert_int_equal(insmod(rig, "m"), 0);
	p->state = COMING;
	p->known = true;
	assert_int_equal(declare(rig, p), 0);
	do {
		give_step(rig, SUTURE_PUMP_INIT, "two", "", 0, &r);
		if (r.kind == SUTURE_STEP_CALLBACK)
			run_callback(rig, &r);
	} while (r.kind != SUTURE_STEP_CALLBACK || r.index != 1);
	rig_clear(rig);
	do {
		give_step(rig, SUTURE_PUMP_INIT, "two", "",
			  r.kind == SUTURE_STEP_CALLBACK && r.index ? -EIO : 0, &r);
		if (r.kind == SUTURE_STEP_CALLBACK)
			run_callback(rig, &r);
		else if (r.kind == SUTURE_STEP_LOG)
			rig_line(rig, "livepatch: %s", r.text);
	} while (r.kind != SUTURE_STEP_DONE);
	assert_int_equal(r.result, -EIO);
	lines(rig, "livepatch: pre-patch callback failed for object 'm'",
	      "livepatch: failed to enable patch 'two'",
	      "livepatch: 'two': canceling patching transition, going to unpatch",
	      "livepatch: 'two': completing unpatching transition",
	      "two: post_unpatch_callback: vmlinux", "livepatch: 'two': unpatching complete");
	p->known = false;
	payload_goes(rig, p);
	rmmod(rig, "m");
}

/* A module that a second patch refuses goes from the first one again. */
static void test_refused_module_leaves_others(void **state)
{
	static const struct def first = {
		.name = "first", .objects = {{"m", ALL_CALLBACKS}}, .funcs = {{0, "f"}}};
	static const struct def second = {
		.name = "second", .objects = {{"m", ALL_CALLBACKS}}, .funcs = {{0, "f"}}};
	struct rig *rig = *state;

	assert_int_equal(insmod_payload(rig, &first), 0);
	settle(rig, 50);
	assert_int_equal(insmod_payload(rig, &second), 0);
	settle(rig, 50);
	rig_clear(rig);
	rig_payload(rig, "second")->pre_patch_ret = -EIO;
	assert_int_equal(insmod(rig, "m"), -EIO);
	lines(rig, "livepatch: applying patch 'first' to loading module 'm'",
	      "first: pre_patch_callback: m" IS_COMING, "first: post_patch_callback: m" IS_COMING,
	      "livepatch: applying patch 'second' to loading module 'm'",
	      "second: pre_patch_callback: m" IS_COMING,
	      "livepatch: pre-patch callback failed for object 'm'",
	      "livepatch: patch 'second' failed for module 'm', refusing to load module 'm'",
	      "first: pre_unpatch_callback: m" IS_COMING,
	      "livepatch: reverting patch 'first' on unloading module 'm'",
	      "first: post_unpatch_callback: m" IS_COMING);
	assert_int_equal(count_redirects(rig), 0);
	rig_payload(rig, "second")->pre_patch_ret = 0;
	assert_int_equal(insmod(rig, "m"), 0);
	assert_int_equal(count_redirects(rig), 1);
	rmmod(rig, "m");
}

/* Another module comes to where one was that is gone, or that was refused: no address is kept. */
static void test_module_in_anothers_place(void **state)
{
	static const struct def both = {
		.name = "both",
		.objects = {{"m", ALL_CALLBACKS}, {"n", ALL_CALLBACKS}},
		.funcs = {{0, "f"}, {1, "f"}},
	};
	struct rig *rig = *state;

	rig_module(rig, "n")->place = rig_module(rig, "m")->place;
	assert_int_equal(insmod_payload(rig, &both), 0);
	settle(rig, 50);
	assert_int_equal(insmod(rig, "m"), 0);
	rmmod(rig, "m");
	rig_payload(rig, "both")->pre_patch_ret = -EIO;
	assert_int_equal(insmod(rig, "m"), -EIO);
	rig_payload(rig, "both")->pre_patch_ret = 0;
	assert_int_equal(insmod(rig, "n"), 0);
	assert_int_equal(count_redirects(rig), 1);
	rmmod(rig, "n");
	assert_int_equal(count_redirects(rig), 0);
}

static void test_unresolved_function_of_module(void **state)
{
	static const struct def def = {
		.name = "p", .objects = {{"m", ALL_CALLBACKS}}, .funcs = {{0, "missing"}}};
	static const struct def older = {.name = "o", .objects = {{"m", 0}}, .funcs = {{0, "f"}}};
	struct rig *rig = *state;

	assert_int_equal(insmod_payload(rig, &older), 0);
	settle(rig, 50);
	assert_int_equal(insmod_payload(rig, &def), 0);
	settle(rig, 50);
	rig_clear(rig);
	assert_int_equal(insmod(rig, "m"), -EINVAL);
	/* when its turn comes, not before */
	lines(rig, "livepatch: applying patch 'o' to loading module 'm'",
	      "livepatch: symbol 'missing' not found in symbol table",
	      "livepatch: failed to initialize patch 'p' for module 'm' (-22)",
	      "livepatch: patch 'p' failed for module 'm', refusing to load module 'm'",
	      "livepatch: reverting patch 'o' on unloading module 'm'");
}

static void test_hook_of_module(void **state)
{
	static const struct def def = {
		.name = "p", .objects = {{"m", ALL_CALLBACKS}}, .funcs = {{0, "f"}}};
	const u64 odd[] = {1, VMLINUX, MODULES + 4, ~7ull};
	struct rig *rig = *state;

	assert_int_equal(insmod_payload(rig, &def), 0);
	settle(rig, 50);
	for (u32 i = 0; i < ARRAY_SIZE(odd); i++) {
		rig->ftrace_hook = odd[i];
		assert_int_equal(insmod(rig, "m"), -EFAULT);
		assert_int_equal(count_redirects(rig), 0);
	}
	rig->ftrace_hook = MODULES + 8;
	assert_int_equal(insmod(rig, "m"), 0);
	assert_int_equal(count_redirects(rig), 1);
	rmmod(rig, "m");
}

/* Its functions are there, but not the symbols that the payload takes from it. */
static void test_unresolved_symbol_of_module(void **state)
{
	static const struct def def = {
		.name = "p", .objects = {{"m", ALL_CALLBACKS}}, .funcs = {{0, "f"}}};
	struct rig *rig = *state;

	assert_int_equal(insmod_payload(rig, &def), 0);
	settle(rig, 50);
	rig_clear(rig);
	rig_module(rig, "m")->error = -ENOENT;
	assert_int_equal(insmod(rig, "m"), -ENOENT);
	lines(rig, "livepatch: failed to initialize patch 'p' for module 'm' (-2)",
	      "livepatch: patch 'p' failed for module 'm', refusing to load module 'm'");
	rig_module(rig, "m")->error = 0;
	assert_int_equal(insmod(rig, "m"), 0);
	rmmod(rig, "m");
}

/* test-callbacks.sh, "multiple livepatches" */
static void test_multiple(void **state)
{
	struct rig *rig = *state;

	load_demo(rig);
	assert_int_equal(insmod_payload(rig, &demo2), 0);
	settle(rig, 100);
	assert_int_equal(query(rig, DEMO).stack_order, 1);
	assert_int_equal(query(rig, "livepatch_callbacks_demo2").stack_order, 2);
	rig_clear(rig);
	assert_int_equal(disable(rig, "livepatch_callbacks_demo2"), 0);
	settle(rig, 100);
	lines(rig, "livepatch: 'livepatch_callbacks_demo2': initializing unpatching transition",
	      "livepatch_callbacks_demo2: pre_unpatch_callback: vmlinux",
	      "livepatch: 'livepatch_callbacks_demo2': starting unpatching transition",
	      "livepatch: 'livepatch_callbacks_demo2': completing unpatching transition",
	      "livepatch_callbacks_demo2: post_unpatch_callback: vmlinux",
	      "livepatch: 'livepatch_callbacks_demo2': unpatching complete");
	end_without_modules(rig);
	assert_int_equal(rmmod_payload(rig, "livepatch_callbacks_demo2"), 0);
}

/* test-callbacks.sh, "atomic replace": callbacks of the replaced patch do not run (003). */
static void test_replace(void **state)
{
	struct rig *rig = *state;

	load_demo(rig);
	rig_clear(rig);
	assert_int_equal(insmod_payload(rig, &demo2_replace), 0);
	settle(rig, 100);
	lines(rig, "livepatch: enabling patch 'livepatch_callbacks_demo2'",
	      "livepatch: 'livepatch_callbacks_demo2': initializing patching transition",
	      "livepatch_callbacks_demo2: pre_patch_callback: vmlinux",
	      "livepatch: 'livepatch_callbacks_demo2': starting patching transition",
	      "livepatch: 'livepatch_callbacks_demo2': completing patching transition",
	      "livepatch_callbacks_demo2: post_patch_callback: vmlinux",
	      "livepatch: 'livepatch_callbacks_demo2': patching complete");
	assert_phase(rig, DEMO, PHASE_DISABLED);
	assert_text(info(rig, DEMO).why, "replaced by patch 'livepatch_callbacks_demo2'");
	assert_int_equal(disable(rig, DEMO), -ENOENT);
	unload_demo(rig);
	assert_int_equal(disable(rig, "livepatch_callbacks_demo2"), 0);
	settle(rig, 100);
	assert_int_equal(rmmod_payload(rig, "livepatch_callbacks_demo2"), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_1),
		T(test_2),
		T(test_3),
		T(test_4),
		T(test_5),
		T(test_6),
		T(test_7),
		T(test_8),
		T(test_9),
		T(test_failing_second_object),
		T(test_refused_module_leaves_others),
		T(test_unresolved_function_of_module),
		T(test_hook_of_module),
		T(test_unresolved_symbol_of_module),
		T(test_module_in_anothers_place),
		T(test_multiple),
		T(test_replace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
