/* SPDX-License-Identifier: BSD-2-Clause */
/* Stacked patches, atomic replace, and the ranges that the check searches for them. */
#include "engine_rig.h"

/* A forced replacement: a task may still be in the replaced code. */
static void test_forced_replacement(void **state)
{
	static const struct def all = {.name = "all",
				       .replace = true,
				       .objects = {{"vmlinux", 0}},
				       .funcs = {{0, "vfs_read"}}};
	struct rig *rig = *state;

	apply(rig, &fix);
	rig->busy = "do_sys_open";
	assert_int_equal(upload(rig, &all), 0);
	settle(rig, 100);
	assert_phase(rig, "all", PHASE_PATCHING);
	assert_int_equal(echo(rig, "all", SUTURE_SET_FORCE, 1), 0);
	settle(rig, 100);
	assert_phase(rig, "all", PHASE_APPLIED);
	assert_int_equal(query(rig, "all").forced, 0);
	assert_phase(rig, "fix", PHASE_DISABLED);
	assert_int_equal(query(rig, "fix").forced, 1);
	assert_int_equal(rmmod_payload(rig, "fix"), -EBUSY);
	/* what replaced it is not forced */
	rig->busy = NULL;
	assert_int_equal(revert(rig, "all"), 0);
	settle(rig, 100);
	assert_phase(rig, "all", PHASE_REVERTED);
}

/* ---- stacks ---- */

static void test_stack(void **state)
{
	struct rig *rig = *state;
	u64 first, second;

	apply(rig, &fix);
	first = runs(rig, "vmlinux", "cmdline_proc_show");
	apply(rig, &other);
	second = runs(rig, "vmlinux", "cmdline_proc_show");
	assert_int_not_equal(first, second);
	assert_int_equal(query(rig, "other").stack_order, 2);
	/* the older one goes from below: nothing changes for the function that the newer has */
	assert_int_equal(revert(rig, "fix"), 0);
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_REVERTED);
	assert_int_equal(runs(rig, "vmlinux", "cmdline_proc_show"), second);
	assert_int_equal(runs(rig, "vmlinux", "do_sys_open"), 0);
	assert_int_equal(query(rig, "other").stack_order, 1);
	/* and is the newer one when it comes again */
	apply(rig, &fix);
	assert_int_equal(runs(rig, "vmlinux", "cmdline_proc_show"), first);
	assert_int_equal(revert(rig, "fix"), 0);
	settle(rig, 100);
	assert_int_equal(runs(rig, "vmlinux", "cmdline_proc_show"), second);
	assert_int_equal(revert(rig, "other"), 0);
	settle(rig, 100);
	assert_int_equal(count_redirects(rig), 0);
}

static void test_replace(void **state)
{
	static const struct def all = {.name = "all",
				       .replace = true,
				       .objects = {{"vmlinux", 0}},
				       .funcs = {{0, "do_sys_open"}, {0, "vfs_read"}}};
	struct rig *rig = *state;
	u32 switches;

	apply(rig, &fix);
	apply(rig, &other);
	switches = rig->switches;
	apply(rig, &all);
	assert_int_equal(rig->switches, switches + 1);
	assert_int_equal(runs(rig, "vmlinux", "cmdline_proc_show"), 0);
	assert_int_equal(runs(rig, "vmlinux", "do_sys_open"), payload_text(2) + 0x100);
	assert_int_equal(count_redirects(rig), 2);
	assert_phase(rig, "fix", PHASE_DISABLED);
	assert_phase(rig, "other", PHASE_DISABLED);
	assert_int_equal(rmmod_payload(rig, "fix"), 0);
	assert_int_equal(revert(rig, "other"), 0);
	assert_int_equal(revert(rig, "fix"), -ENOENT);
	settle(rig, 100);
	assert_phase(rig, "other", PHASE_REVERTED);
	assert_phase(rig, "fix", PHASE_REVERTED);
	assert_int_equal(revert(rig, "all"), 0);
	settle(rig, 100);
	assert_int_equal(count_redirects(rig), 0);
}

/* ---- other ranges that the check searches for ---- */

/* A task at its first instruction hits: start < w <= end. */
static void assert_extra(struct rig *rig, u64 start, u64 size, const char *name)
{
	u32 i;

	for (i = 0; i < rig->nr_extra; i++)
		if (rig->extra[i].start == start - 1 && rig->extra[i].end == start + size &&
		    !strcmp(rig->extra[i].name, name))
			return;
	fail_msg("%s is not looked at", name);
}

/* Parts of the code that is active, and payloads that go off. */
static void test_parts(void **state)
{
	static const struct def first = {.name = "first",
					 .parts = true,
					 .objects = {{"vmlinux", 0}},
					 .funcs = {{0, "do_sys_open"}, {0, "vfs_read"}}};
	static const struct def second = {.name = "second",
					  .parts = true,
					  .objects = {{"vmlinux", 0}},
					  .funcs = {{0, "vfs_read"}}};
	struct rig *rig = *state;

	apply(rig, &first);
	assert_int_equal(rig->nr_extra, 2);
	assert_extra(rig, symbol(rig, "vmlinux", "do_sys_open") + 0xa0, 0x10, "do_sys_open");
	assert_extra(rig, symbol(rig, "vmlinux", "vfs_read") + 0xa0, 0x10, "vfs_read");
	/* on top of the first: only its function is active */
	apply(rig, &second);
	assert_int_equal(rig->nr_extra, 1);
	assert_extra(rig, payload_text(0) + 0x2a0, 0x20, "vfs_read");
	assert_int_equal(revert(rig, "second"), 0);
	settle(rig, 100);
	assert_int_equal(rig->nr_extra, 2);
	assert_extra(rig, payload_text(1) + 0x1a0, 0x20, "vfs_read");
	assert_extra(rig, payload_text(1), MODULE_TEXT, "the text of payload second");
	assert_int_equal(revert(rig, "first"), 0);
	settle(rig, 100);
	assert_int_equal(rig->nr_extra, 3);
	assert_extra(rig, payload_text(0), MODULE_TEXT, "the text of payload first");
}

static void test_replaced_payloads(void **state)
{
	static const struct def all = {.name = "all",
				       .replace = true,
				       .objects = {{"vmlinux", 0}},
				       .funcs = {{0, "do_sys_open"}}};
	struct rig *rig = *state;

	apply(rig, &fix);
	assert_int_equal(rig->nr_extra, 0);
	apply(rig, &other);
	apply(rig, &all);
	assert_int_equal(rig->nr_extra, 2);
	assert_extra(rig, payload_text(0), MODULE_TEXT, "the text of payload fix");
	assert_extra(rig, payload_text(1), MODULE_TEXT, "the text of payload other");
	/* what is off already may be freed already */
	assert_int_equal(revert(rig, "all"), 0);
	settle(rig, 100);
	assert_int_equal(rig->nr_extra, 1);
	assert_extra(rig, payload_text(2), MODULE_TEXT, "the text of payload all");
}

/* A payload without a function in force: its text counts all the same. */
static void test_payload_without_functions(void **state)
{
	static const struct def none = {
		.name = "none", .objects = {{"absent", 0}}, .funcs = {{0, "absent_func"}}};
	struct rig *rig = *state;

	apply(rig, &none);
	assert_int_equal(revert(rig, "none"), 0);
	settle(rig, 100);
	assert_int_equal(rig->nr_extra, 1);
	assert_extra(rig, payload_text(0), MODULE_TEXT, "the text of payload none");
}

/* With force the operator accepts the risk. */
static void test_forced_parts(void **state)
{
	struct rig *rig = *state;

	apply(rig, &fix);
	rig->busy = "do_sys_open";
	assert_int_equal(revert(rig, "fix"), 0);
	settle(rig, 100);
	assert_int_equal(rig->nr_extra, 1);
	assert_int_equal(echo(rig, "fix", SUTURE_SET_FORCE, 1), 0);
	settle(rig, 100);
	assert_int_equal(rig->nr_extra, 0);
	rig->busy = NULL;
}

/* A module that comes while the patch waits runs its own code until the switch. */
static void test_parts_of_a_module(void **state)
{
	static const struct def two = {.name = "two",
				       .parts = true,
				       .objects = {{"vmlinux", 0}, {"m", 0}},
				       .funcs = {{0, "do_sys_open"}, {1, "mf"}}};
	struct rig *rig = *state;

	rig->busy = "do_sys_open";
	assert_int_equal(upload(rig, &two), 0);
	settle(rig, 100);
	for (u32 i = 0; i < 3; i++) {
		assert_int_equal(rig->nr_extra, 1);
		assert_int_equal(insmod(rig, "m"), 0);
		settle(rig, 100);
		assert_int_equal(rig->nr_extra, 2);
		assert_extra(rig, symbol(rig, "m", "mf") + 0xc0, 0x10, "mf");
		rmmod(rig, "m");
		settle(rig, 100);
	}
	rig->busy = NULL;
	settle(rig, 100);
	assert_phase(rig, "two", PHASE_APPLIED);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		T(test_forced_replacement),
		T(test_stack),
		T(test_replace),
		T(test_parts),
		T(test_replaced_payloads),
		T(test_payload_without_functions),
		T(test_forced_parts),
		T(test_parts_of_a_module),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
