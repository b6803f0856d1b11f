/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rules of the machine for shadow pages, step by step: published code, broken leaves, rights and
 * memory types that stay the guest's. The other tests of shadow pages run on the same machine, and
 * look at fake_violation() after each step.
 */
#include "leaf.h"
#include "shadow_rig.h"
#include "core/cpu.h"
#include "stage2/shadow_access.h"

static u32 attrs_of(u32 page)
{
	struct pt_walk w;

	assert_int_equal(pgtable_lookup(&stage2, IPA(world.ipa[page]), &w), 0);
	return w.attrs;
}

static void copies_are_published_before_the_commit(void **state)
{
	struct redirect r = redirect_at(1, 2, 100, 5);

	(void)state;
	plan_begin();
	assert_int_equal(shadow_plan_add(world.plan, &r, 1), 0);
	assert_int_equal(shadow_plan_prepare(world.plan), 0);
	assert_non_null(strstr(fake_events(), "publish-code"));
	assert_int_equal(shadow_plan_fill(world.plan), 0);
	assert_string_equal(fake_events(), "publish-code");
	shadow_plan_apply(world.plan);
	assert_string_equal(fake_events(), "break invalidate make");
	shadow_plan_apply(world.plan); /* by another CPU */
	assert_string_equal(fake_events(), "change");
	shadow_plan_finish(world.plan);
	world.plan = NULL;
	model_add(&r);
	check_world();
}

/* The copy was made with the guest running: in the pause it is made again if it is not the same. */
static void a_page_that_changed_before_the_pause(void **state)
{
	struct redirect r = redirect_at(1, 2, 100, 5);

	(void)state;
	plan_begin();
	assert_int_equal(shadow_plan_add(world.plan, &r, 1), 0);
	assert_int_equal(shadow_plan_prepare(world.plan), 0);
	guest_writes(2, PAGE_SIZE - 1, 0x11);
	fake_events();
	assert_int_equal(shadow_plan_fill(world.plan), 0);
	assert_string_equal(fake_events(), "publish-code publish-code");
	shadow_plan_apply(world.plan);
	shadow_plan_finish(world.plan);
	world.plan = NULL;
	model_add(&r);
	check_world();
	remove_key(1);
}

/* The guest's own page has changed behind the copy: no CPU may have the old code of it. */
static void the_guests_page_is_published_when_it_comes_back(void **state)
{
	struct redirect r = redirect_at(1, 2, 100, 5);

	(void)state;
	add(&r);
	guest_writes(2, 7, 0x11);
	shadow_write_through(IPA(world.ipa[2] + 7), 1);
	check_world();
	plan_begin();
	assert_int_equal(shadow_plan_remove(world.plan, 1), 0);
	assert_int_equal(shadow_plan_prepare(world.plan), 0);
	assert_int_equal(shadow_plan_fill(world.plan), 0);
	fake_events();
	shadow_plan_apply(world.plan);
	assert_string_equal(fake_events(), "publish-code break invalidate make");
	shadow_plan_finish(world.plan);
	world.plan = NULL;
	model_remove(1);
	check_world();
}

static void a_drop_publishes_what_it_restores(void **state)
{
	struct redirect r[] = {redirect_at(1, 2, 100, 5), redirect_at(2, 2, 200, 5)};

	(void)state;
	add(&r[0]);
	add(&r[1]);
	fake_events();
	assert_int_equal(drop(r[0].from, r[0].from + 1), 1);
	assert_string_equal(fake_events(), "publish-code"); /* the copy stays, for the other */
	check_world();
	assert_int_equal(drop(r[1].from, r[1].from + 1), 1);
	assert_string_equal(fake_events(), "publish-code break invalidate make");
	check_world();
}

/* A breakpoint in a redirect, and its end: the copy changes under a leaf that stays. */
static void a_write_publishes_what_it_changes(void **state)
{
	struct redirect r = redirect_at(1, 2, 100, 5);

	(void)state;
	add(&r);
	fake_events();
	guest_writes(2, 102, 0xcc);
	shadow_write_through(IPA(world.ipa[2] + 102), 1);
	assert_string_equal(fake_events(), "publish-code publish-code");
	check_world();
	write_back(&r);
	check_world();
}

static void an_opened_page_breaks_and_comes_back(void **state)
{
	struct redirect r = redirect_at(1, 2, 100, 5);

	(void)state;
	add(&r);
	fake_become(&cpus[1]);
	cpus[1].state = CPU_GUEST;
	fake_events();
	assert_int_equal(shadow_access_begin(IPA(world.ipa[2] + 7)), 0);
	assert_string_equal(fake_events(), "publish-code break invalidate make");
	assert_int_equal(attrs_of(2), RWX);
	guest_writes(2, 7, 0xaa);
	shadow_access_end();
	assert_int_equal(attrs_of(2), RX);
	cpus[1].state = CPU_PARKED;
	fake_become(&cpus[0]);
	check_world();
}

/* The leaf that is opened for a write has the rights and the type that the guest's page had. */
static void leaves_keep_their_rights_and_type(void **state)
{
	u32 had = PT_READ | PT_WRITE | PT_EXEC | PT_DEVICE;
	struct redirect r = redirect_at(1, 2, 100, 5);

	(void)state;
	assert_int_equal(pgtable_split(&stage2, IPA(world.ipa[2]), NULL), 0);
	assert_int_equal(set_leaf(&stage2, IPA(world.ipa[2]), PA(world.ipa[2]), had), 0);
	plan_begin();
	assert_int_equal(shadow_plan_add(world.plan, &r, 1), 0);
	assert_int_equal(plan_carry_out(), 0);
	assert_int_equal(attrs_of(2), had & ~PT_WRITE);
	assert_true(shadow_expose(IPA(world.ipa[2])));
	assert_int_equal(attrs_of(2), had);
	assert_true(shadow_cover(IPA(world.ipa[2])));
	assert_int_equal(attrs_of(2), had & ~PT_WRITE);
	assert_false(shadow_expose(IPA(world.ipa[3])));
	assert_false(shadow_cover(IPA(world.ipa[3])));
	assert_int_equal(drop(0, UINT64_MAX), 1);
	assert_int_equal(attrs_of(2), had);
	assert_string_equal(fake_violation(), "");
}

/* ---- blocks that are split in a pause ---- */

static int setup_paused(void **state)
{
	int err = setup(state);

	fake_stage2_format()->split = PT_SPLIT_PAUSED;
	return err;
}

static void a_plan_splits_in_pauses_of_its_own(void **state)
{
	struct redirect r = redirect_at(1, 2, 100, 5);
	struct pause_stats before, after;

	(void)state;
	plan_begin();
	assert_int_equal(shadow_plan_add(world.plan, &r, 1), 0);
	pause_stats(&before);
	fake_events();
	assert_int_equal(shadow_plan_prepare(world.plan), 0);
	pause_stats(&after);
	assert_int_equal(after.count, before.count + 2);
	assert_string_equal(fake_events(), "break invalidate publish-table link "
					   "break invalidate publish-table link publish-code");
	plan_abort();
	check_world();
	add(&r);
	pause_stats(&before);
	assert_int_equal(after.count, before.count); /* what is split stays so */
	remove_key(1);
}

static void a_plan_whose_pause_fails_is_tried_again(void **state)
{
	struct redirect r = redirect_at(1, 2, 100, 5);

	(void)state;
	plan_begin();
	assert_int_equal(shadow_plan_add(world.plan, &r, 1), 0);
	cpus[1].state = CPU_GUEST; /* and never comes */
	assert_int_equal(shadow_plan_prepare(world.plan), -EAGAIN);
	cpus[1].state = CPU_PARKED;
	plan_abort();
	check_world();
	add(&r);
}

#define TEST_PAUSED(f) cmocka_unit_test_setup_teardown(f, setup_paused, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(copies_are_published_before_the_commit),
		TEST(a_page_that_changed_before_the_pause),
		TEST(the_guests_page_is_published_when_it_comes_back),
		TEST(a_drop_publishes_what_it_restores),
		TEST(a_write_publishes_what_it_changes),
		TEST(an_opened_page_breaks_and_comes_back),
		TEST(leaves_keep_their_rights_and_type),
		TEST_PAUSED(a_plan_splits_in_pauses_of_its_own),
		TEST_PAUSED(a_plan_whose_pause_fails_is_tried_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
