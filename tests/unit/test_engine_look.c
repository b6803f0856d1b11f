/* SPDX-License-Identifier: BSD-2-Clause */
/* The read-back once a second: are applied patches in force? */
#include "engine_rig.h"

static struct patch_func_info func(struct rig *rig, const char *patch, u32 index)
{
	struct patch_func_info f;
	struct patch_info i;
	u32 n = 0;

	while (!engine_patch_info(rig->e, n, &i) && strcmp(i.name, patch) != 0)
		n++;
	assert_int_equal(engine_patch_func(rig->e, n, index, &f), 0);
	return f;
}

#define assert_in_force(rig, patch, index)                                                         \
	assert_string_equal(func(rig, patch, index).not_in_force, "")
#define assert_lost(rig, patch, index)                                                             \
	assert_string_equal(func(rig, patch, index).not_in_force, "something else is there")

static void test_lost_and_back(void **state)
{
	struct rig *rig = *state;

	apply(rig, &fix);
	assert_int_equal(info(rig, "fix").apply.functions_verified, 2);
	settle(rig, 3000);
	assert_in_force(rig, "fix", 0);
	assert_in_force(rig, "fix", 1);

	rig->lost = symbol(rig, "vmlinux", "do_sys_open");
	settle(rig, 1500);
	assert_in_force(rig, "fix", 0);
	assert_lost(rig, "fix", 1);
	assert_true(func(rig, "fix", 1).redirected);
	assert_string_equal(rig_said, "patch 'fix': do_sys_open is not in force: something else is "
				      "there");
	rig_said[0] = '\0';
	settle(rig, 5000); /* said once */
	assert_string_equal(rig_said, "");

	rig->lost = 0;
	settle(rig, 1500);
	assert_in_force(rig, "fix", 1);
	assert_string_equal(rig_said, "patch 'fix': do_sys_open is in force again");
}

/* The switch itself has read back something else: said at once. */
static void test_mismatch_is_said(void **state)
{
	struct rig *rig = *state;

	rig->mismatch = "do_sys_open: something else is there";
	assert_int_equal(upload(rig, &fix), 0);
	rig->busy = "do_sys_open";
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_PATCHING);
	rig->busy = NULL;
	rig->stopped = true; /* nothing is said after it */
	settle(rig, 100);
	assert_string_equal(rig_said,
			    "patch 'fix' was switched, but do_sys_open: something else is "
			    "there");
	rig->stopped = false;
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_APPLIED);
	assert_int_equal(info(rig, "fix").apply.functions_verified, 1);
	assert_string_equal(info(rig, "fix").apply.mismatch, rig->mismatch);
}

/* A single difference may be temporary. */
static void test_a_doubt_is_looked_at_again(void **state)
{
	struct rig *rig = *state;
	u32 fetches;

	apply(rig, &other);
	settle(rig, 100);
	rig->lost = symbol(rig, "vmlinux", "cmdline_proc_show");
	for (fetches = rig->fetches; rig->fetches == fetches;)
		settle(rig, 1);
	rig->lost = 0;
	assert_in_force(rig, "other", 0);
	settle(rig, 150); /* not only in a second */
	assert_int_equal(rig->fetches, fetches + 2);
	assert_in_force(rig, "other", 0);
	/* and each doubt is a new one */
	settle(rig, 1000);
	fetches = rig->fetches;
	rig->lost = symbol(rig, "vmlinux", "cmdline_proc_show");
	while (rig->fetches == fetches)
		settle(rig, 1);
	assert_in_force(rig, "other", 0);
	settle(rig, 150);
	assert_lost(rig, "other", 0);
}

/* A read-back without a result is not reported. */
static void test_last_word_stays(void **state)
{
	struct rig *rig = *state;

	apply(rig, &other);
	rig->lost = symbol(rig, "vmlinux", "cmdline_proc_show");
	rig->look_busy = true;
	settle(rig, 5000);
	assert_in_force(rig, "other", 0);
	rig->look_busy = false;
	settle(rig, 300);
	assert_lost(rig, "other", 0);
	rig->look_busy = true;
	rig->lost = 0;
	settle(rig, 5000);
	assert_lost(rig, "other", 0);
}

/* The read-back does not need the agent: it continues in a guest that is silent or has panicked. */
static void test_sick_guests(void **state)
{
	struct rig *rig = *state;
	u32 fetches;

	apply(rig, &other);
	rig->stopped = true;
	settle(rig, 20000);
	rig->lost = symbol(rig, "vmlinux", "cmdline_proc_show");
	settle(rig, 1500);
	assert_lost(rig, "other", 0);
	engine_panicked(rig->e, "");
	rig->lost = 0;
	settle(rig, 1500);
	assert_in_force(rig, "other", 0);
	/* without its kernel nothing is on */
	engine_kernel_gone(rig->e, "gone");
	memset(rig->redirects, 0, sizeof(rig->redirects));
	fetches = rig->fetches;
	settle(rig, 3000);
	assert_int_equal(rig->fetches, fetches);
	assert_in_force(rig, "other", 0);
	assert_false(func(rig, "other", 0).redirected);
}

/* Of several patches of one function the newest is in force; the others are not missed. */
static void test_newest_is_looked_at(void **state)
{
	struct rig *rig = *state;

	apply(rig, &fix);
	apply(rig, &other);
	settle(rig, 2000);
	assert_in_force(rig, "fix", 0);
	assert_string_equal(func(rig, "fix", 0).covered_by, "other");
	assert_string_equal(func(rig, "fix", 1).covered_by, "");
	assert_string_equal(func(rig, "other", 0).covered_by, "");

	rig->lost = symbol(rig, "vmlinux", "cmdline_proc_show");
	settle(rig, 1500);
	assert_in_force(rig, "fix", 0);
	assert_lost(rig, "other", 0);
	/* with the newest off it is the other's */
	assert_int_equal(revert(rig, "other"), 0);
	settle(rig, 1500);
	assert_string_equal(func(rig, "fix", 0).covered_by, "");
	assert_lost(rig, "fix", 0);
}

/* What was lost before it went off is not said when it comes again. */
static void test_off_and_on(void **state)
{
	struct rig *rig = *state;

	apply(rig, &other);
	rig->lost = symbol(rig, "vmlinux", "cmdline_proc_show");
	settle(rig, 1500);
	assert_lost(rig, "other", 0);
	rig->lost = 0;
	assert_int_equal(revert(rig, "other"), 0);
	settle(rig, 100);
	assert_phase(rig, "other", PHASE_REVERTED);
	assert_in_force(rig, "other", 0);
	apply(rig, &other);
	assert_in_force(rig, "other", 0);
}

/* The queue of drops was full: the engine believes that it is on. */
static void test_a_drop_that_was_not_told(void **state)
{
	struct rig *rig = *state;

	apply(rig, &other);
	rig->silent_drop = true;
	drop_range(rig, payload_text(0));
	settle(rig, 1500);
	assert_lost(rig, "other", 0);
	engine_dropped(rig->e, symbol(rig, "vmlinux", "cmdline_proc_show"));
	assert_in_force(rig, "other", 0);
	assert_false(func(rig, "other", 0).redirected);
}

/* With the engine's word on when to come again, and nothing else: how the service loop sleeps. */
static u32 sleep_until(struct rig *rig, u64 end_us)
{
	u32 ticks = 0;

	while (rig->now_us < end_us) {
		u64 next = engine_tick(rig->e);

		ticks++;
		rig->now_us = MAX(rig->now_us + 1, MIN(next, end_us));
	}
	return ticks;
}

/* The service CPU is woken only for work; with a patch of two functions once a second. */
static void test_it_is_due_once_a_second(void **state)
{
	struct rig *rig = *state;
	u32 fetches;

	rig->stopped = true;
	assert_true(sleep_until(rig, rig->now_us + 5000000) < 5);
	assert_int_equal(rig->fetches, 0);
	rig->stopped = false;
	apply(rig, &fix);
	rig->stopped = true;
	settle(rig, 2000);
	fetches = rig->fetches;
	assert_true(sleep_until(rig, rig->now_us + 5000000) < 16);
	assert_int_equal(rig->fetches, fetches + 10);
}

/* Many functions: so many at a time that others' turn comes, and all of them in time. */
static void test_batches(void **state)
{
	static const struct def patches[] = {
#define EIGHT(n)                                                                                   \
	{                                                                                          \
		.name = "many" #n,                                                                 \
		.objects = {{"vmlinux", 0}},                                                       \
		.funcs =                                                                           \
			{                                                                          \
				{0, "a" #n},                                                       \
				{0, "b" #n},                                                       \
				{0, "c" #n},                                                       \
				{0, "d" #n},                                                       \
				{0, "e" #n},                                                       \
				{0, "f" #n},                                                       \
				{0, "g" #n},                                                       \
				{0, "h" #n},                                                       \
			},                                                                         \
	}
		EIGHT(0), EIGHT(1), EIGHT(2), EIGHT(3), EIGHT(4), EIGHT(5), EIGHT(6),
	};
	struct rig *rig = *state;
	struct look_stats stats;
	u32 before, most = 0, i;

	for (i = 0; i < ARRAY_SIZE(patches); i++)
		apply(rig, &patches[i]);
	settle(rig, 200);
	rig->lost = symbol(rig, "vmlinux", "h6");
	for (i = 0; i < 1200; i++) {
		before = rig->fetches;
		settle(rig, 1);
		most = MAX(most, rig->fetches - before);
	}
	printf("%u functions, at most %u in one go\n", 8 * (u32)ARRAY_SIZE(patches), most);
	assert_in_range(most, 1, 32);
	assert_lost(rig, "many6", 7);
	engine_look_stats(rig->e, &stats);
	assert_int_equal(stats.functions, 8 * ARRAY_SIZE(patches));
	/* each of these may have waited */
	rig->look_busy = true;
	for (i = 0; i < 1200; i++) {
		before = rig->fetches;
		settle(rig, 1);
		assert_in_range(rig->fetches - before, 0, 1);
	}
	rig->look_busy = false;
	for (i = 0; i < ARRAY_SIZE(patches); i++) {
		assert_int_equal(revert(rig, patches[i].name), 0);
		settle(rig, 100);
	}
	engine_look_stats(rig->e, &stats);
	assert_int_equal(stats.functions, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)
		T(test_lost_and_back),	  T(test_a_doubt_is_looked_at_again),
		T(test_mismatch_is_said), T(test_last_word_stays),
		T(test_sick_guests),	  T(test_newest_is_looked_at),
		T(test_off_and_on),	  T(test_a_drop_that_was_not_told),
		T(test_batches),	  T(test_it_is_due_once_a_second),
	};

	return cmocka_run_group_tests_name("engine_look", tests, NULL, NULL);
}
