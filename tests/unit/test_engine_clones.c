/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * New code that is not reached because of clones: in modules that are loaded and unloaded, and by
 * the bundle.
 */
#include "engine_rig.h"

static const struct def def = {
	.name = "fix",
	.uncalled = 1u << 1,
	.objects = {{"vmlinux", 0}, {"ext4", 0}},
	.funcs = {{0, "cmdline_proc_show"}, {1, "ext4_map_blocks"}, {1, "ext4_sync_fs"}},
};
static const struct def plain = {
	.name = "fix",
	.objects = {{"vmlinux", 0}, {"ext4", 0}},
	.funcs = {{0, "cmdline_proc_show"}, {1, "ext4_map_blocks"}, {1, "ext4_sync_fs"}},
};

static struct rig rig;

static int setup(void **state)
{
	(void)state;
	rig_start(&rig);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_stop(&rig);
	return 0;
}

static void assert_clones(u32 listed, u32 more)
{
	assert_int_equal(info(&rig, "fix").nr_clones, listed);
	assert_int_equal(info(&rig, "fix").more_clones, more);
}

static void module_comes_and_goes(void **state)
{
	struct patch_clone_info c;

	(void)state;
	apply(&rig, &plain);
	assert_clones(0, 0);
	rig.clones = 3;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(insmod(&rig, "ext4"), 0);
		assert_clones(6, 0);
		assert_int_equal(engine_patch_clone(rig.e, 0, 4, &c), 0);
		assert_string_equal(c.object, "ext4");
		assert_string_equal(c.func, "ext4_sync_fs");
		assert_string_equal(c.name, "ext4_sync_fs.part.1");
		assert_string_equal(c.callers[0], "caller");
		rmmod(&rig, "ext4");
		assert_clones(0, 0);
	}
}

/* No module is refused for them, also not of a patch that was applied with --strict. */
static void module_is_not_refused(void **state)
{
	(void)state;
	assert_int_equal(upload(&rig, &plain), 0);
	engine_be_strict(rig.e, "fix");
	rig.clones = SUTURE_MAX_CLONES / 2;
	rig.more_clones = 5;
	settle(&rig, 100);
	assert_phase(&rig, "fix", PHASE_APPLIED);
	assert_int_equal(insmod(&rig, "ext4"), 0);
	assert_clones(SUTURE_MAX_CLONES, 5);
	rmmod(&rig, "ext4");
	assert_clones(0, 0);
}

static void malformed(void **state)
{
	(void)state;
	apply(&rig, &plain);
	rig.clones = 1;
	rig.clones_short = 1;
	assert_int_equal(tell_module(&rig, "ext4", SUTURE_MODULE_COMING, MODULES), -EINVAL);
	rig.clones_short = 0;
	rig.clones = SUTURE_MAX_CLONES / 2;
	assert_int_equal(tell_module(&rig, "ext4", SUTURE_MODULE_COMING, MODULES), 0);
}

static void assert_uncalled(const char *name)
{
	struct patch_func_info f;
	u32 i;

	for (i = 0; !engine_patch_func(rig.e, 0, i, &f); i++)
		assert_int_equal(f.uncalled, !strcmp(f.name, name));
	assert_int_equal(i, 3);
}

static void uncalled(void **state)
{
	(void)state;
	apply(&rig, &def);
	assert_uncalled("ext4_map_blocks");
}

static void uncalled_strictly(void **state)
{
	(void)state;
	assert_int_equal(upload(&rig, &def), 0);
	engine_be_strict(rig.e, "fix");
	settle(&rig, 100);
	assert_phase(&rig, "fix", PHASE_FAILED);
	assert_text(info(&rig, "fix").why,
		    "nobody calls ext4_map_blocks or holds its address: patch its callers, or "
		    "apply without --strict");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(module_comes_and_goes, setup, teardown),
		cmocka_unit_test_setup_teardown(module_is_not_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(malformed, setup, teardown),
		cmocka_unit_test_setup_teardown(uncalled, setup, teardown),
		cmocka_unit_test_setup_teardown(uncalled_strictly, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
