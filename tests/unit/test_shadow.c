/* SPDX-License-Identifier: BSD-2-Clause */
/* Plans: redirects that are added and removed, refusals, and lack of memory. */
#include "shadow_rig.h"

static void one_redirect_and_back(void **state)
{
	struct redirect r = redirect_at(1, 3, 100, 5);

	(void)state;
	check_world();
	add(&r);
	remove_key(1);
}

static void several_in_a_page(void **state)
{
	struct redirect r[] = {
		redirect_at(1, 2, 0, 5),
		redirect_at(2, 2, 5, 16), /* right behind the first */
		redirect_at(3, 2, PAGE_SIZE - 5, 5),
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(r); i++)
		add(&r[i]);
	remove_key(2);
	remove_key(1);
	add(&r[1]);
	remove_key(3);
	remove_key(2);
}

static void across_a_page_boundary(void **state)
{
	(void)state;
	for (u32 in_first = 1; in_first < 5; in_first++) {
		struct redirect r = redirect_at(1, 4, PAGE_SIZE - in_first, 5);
		struct redirect in_second = redirect_at(2, 5, 5 - in_first, 5);

		add(&r);
		add(&in_second);
		remove_key(1);
		remove_key(2);
	}
}

static void one_plan_changes_many(void **state)
{
	(void)state;
	plan_begin();
	for (u32 i = 0; i < 200; i++) {
		struct redirect r = redirect_at(i, i % PAGES, i / PAGES * 200, 5);

		assert_int_equal(shadow_plan_add(world.plan, &r, 1), 0);
		model_add(&r);
	}
	assert_int_equal(plan_carry_out(), 0);
	check_world();

	/* Take half away, lead others elsewhere: one plan again. */
	plan_begin();
	for (u32 i = 0; i < 200; i += 2) {
		assert_int_equal(shadow_plan_remove(world.plan, i), 0);
		model_remove(i);
	}
	for (u32 i = 1; i < 200; i += 4) {
		struct redirect r = redirect_at(i, i % PAGES, i / PAGES * 200, 14);

		assert_int_equal(shadow_plan_remove(world.plan, i), 0);
		assert_int_equal(shadow_plan_add(world.plan, &r, 1), 0);
		model_remove(i);
		model_add(&r);
	}
	assert_int_equal(plan_carry_out(), 0);
	check_world();
}

static void a_plan_counts_its_pages(void **state)
{
	struct redirect a = redirect_at(1, 0, 0, 5), b = redirect_at(2, 1, 0, 5);
	struct redirect c = redirect_at(3, 8, PAGE_SIZE - 1, 5);

	(void)state;
	add(&a);
	add(&b);
	plan_begin();
	assert_int_equal(shadow_plan_remove(world.plan, 1), 0);
	assert_int_equal(shadow_plan_add(world.plan, &c, 1), 0);
	assert_int_equal(shadow_plan_prepare(world.plan), 0);
	assert_int_equal(shadow_plan_pages(world.plan), 3);
	plan_abort();
	check_world();
}

static void refusals_change_nothing(void **state)
{
	struct redirect r = redirect_at(1, 4, PAGE_SIZE - 3, 5), other, bad;

	(void)state;
	add(&r);
	plan_begin();
	assert_null(shadow_plan_begin());

	other = redirect_at(1, 9, 0, 5);
	assert_int_equal(shadow_plan_add(world.plan, &other, 1), -EEXIST);
	other = redirect_at(2, 4, PAGE_SIZE - 7, 5);
	assert_int_equal(shadow_plan_add(world.plan, &other, 1), -ENOSPC);
	other = redirect_at(2, 5, 1, 5); /* its second page */
	assert_int_equal(shadow_plan_add(world.plan, &other, 1), -ENOSPC);
	assert_int_equal(shadow_plan_remove(world.plan, 2), -ENOENT);

	bad = redirect_at(2, 9, 0, 5);
	bad.len = 0;
	assert_int_equal(shadow_plan_add(world.plan, &bad, 1), -EINVAL);
	bad.len = REDIRECT_MAX + 1;
	assert_int_equal(shadow_plan_add(world.plan, &bad, 1), -EINVAL);
	bad = redirect_at(2, 9, 0, 5);
	bad.from++;
	assert_int_equal(shadow_plan_add(world.plan, &bad, 1), -EINVAL);
	bad = redirect_at(2, 9, PAGE_SIZE - 2, 5);
	bad.ipa2.v++;
	assert_int_equal(shadow_plan_add(world.plan, &bad, 1), -EINVAL);
	bad.ipa2.v = world.ipa[9];
	assert_int_equal(shadow_plan_add(world.plan, &bad, 1), -EINVAL);

	other = redirect_at(2, 5, 2, 5); /* just behind is free */
	assert_int_equal(shadow_plan_add(world.plan, &other, 1), 0);
	assert_int_equal(shadow_plan_fill(world.plan), -EINVAL); /* not prepared */
	assert_int_equal(shadow_plan_prepare(world.plan), 0);
	assert_int_equal(shadow_plan_prepare(world.plan), -EINVAL);
	assert_int_equal(shadow_plan_add(world.plan, &other, 1), -EINVAL);
	assert_int_equal(shadow_plan_remove(world.plan, 1), -EINVAL);
	plan_abort();
	check_world();

	plan_begin();
	bad = redirect_at(2, 9, 0, 5);
	bad.ipa.v = 5ull << 30; /* nothing is mapped there */
	assert_int_equal(shadow_plan_add(world.plan, &bad, 1), 0);
	assert_int_equal(plan_carry_out(), -ENOENT);
	check_world();
}

static void guest_writes_until_the_pause_are_kept(void **state)
{
	struct redirect r = redirect_at(1, 4, PAGE_SIZE - 3, 5);

	(void)state;
	plan_begin();
	assert_int_equal(shadow_plan_add(world.plan, &r, 1), 0);
	assert_int_equal(shadow_plan_prepare(world.plan), 0);

	/* In the bytes to be replaced: refused, until they are the old ones again. */
	guest_writes(5, 1, r.bytes[4]);
	assert_int_equal(shadow_plan_fill(world.plan), -EILSEQ);
	shadow_plan_apply(world.plan); /* not filled: nothing */
	check_world();
	guest_writes(5, 1, r.old[4]);

	/* Elsewhere: the copy has them, also those between two attempts. */
	assert_int_equal(shadow_plan_fill(world.plan), 0);
	guest_writes(4, 7, 0x11);
	guest_writes(5, 2000, 0x22);
	check_world();
	assert_int_equal(shadow_plan_fill(world.plan), 0);
	shadow_plan_apply(world.plan);
	model_add(&r);
	check_world();
	shadow_plan_finish(world.plan);
	world.plan = NULL;
	check_world();
}

static void aborted_plans_leave_no_trace(void **state)
{
	struct redirect a = redirect_at(1, 0, 0, 5), b = redirect_at(2, 0, 64, 5);
	u64 used;

	(void)state;
	add(&a);
	used = used_pages();
	for (int stage = 0; stage <= 3; stage++) {
		plan_begin();
		if (stage > 0)
			assert_int_equal(shadow_plan_add(world.plan, &b, 1), 0);
		if (stage > 1)
			assert_int_equal(shadow_plan_prepare(world.plan), 0);
		if (stage > 2)
			assert_int_equal(shadow_plan_fill(world.plan), 0);
		/* The commit failed: finish is as good as abort. */
		if (stage == 3)
			shadow_plan_finish(world.plan);
		else
			shadow_plan_abort(world.plan);
		world.plan = NULL;
		assert_int_equal(used_pages(), used);
		check_world();
	}
}

static void apply_may_be_repeated(void **state)
{
	struct redirect a = redirect_at(1, 0, 0, 5), b = redirect_at(2, 3, 0, 5);

	(void)state;
	add(&a);
	plan_begin();
	assert_int_equal(shadow_plan_remove(world.plan, 1), 0);
	assert_int_equal(shadow_plan_add(world.plan, &b, 1), 0);
	assert_int_equal(shadow_plan_prepare(world.plan), 0);
	assert_int_equal(shadow_plan_fill(world.plan), 0);
	model_remove(1);
	model_add(&b);
	for (int i = 0; i < 3; i++) {
		shadow_plan_apply(world.plan);
		check_world();
	}
	shadow_plan_finish(world.plan);
	world.plan = NULL;
	check_world();
}

/* ---- redirects of several pieces ---- */

static void pieces_come_and_go_together(void **state)
{
	struct redirect r[] = {
		redirect_at(1, 2, 0, 3),
		redirect_at(1, 2, 8, 5), /* on the page of the first */
		redirect_at(1, 7, PAGE_SIZE - 2, 5),
	};
	struct redirect other = redirect_at(2, 2, 3, 5);

	(void)state;
	add_pieces(r, ARRAY_SIZE(r));
	add(&other);
	remove_key(1);
	add_pieces(r, ARRAY_SIZE(r));
	remove_key(2);

	/* Another target, and another number of pieces, in one plan. */
	plan_begin();
	assert_int_equal(shadow_plan_remove(world.plan, 1), 0);
	assert_int_equal(shadow_plan_remove(world.plan, 1), -ENOENT);
	r[0].to = r[1].to = NEW + 0x1000;
	r[1].bytes[0] ^= 1;
	assert_int_equal(shadow_plan_add(world.plan, r, 2), 0);
	assert_int_equal(plan_carry_out(), 0);
	model_remove(1);
	model_add(&r[0]);
	model_add(&r[1]);
	check_world();
	remove_key(1);
}

static void pieces_that_do_not_go_together(void **state)
{
	struct redirect there = redirect_at(9, 3, 100, 5);
	struct redirect r[] = {redirect_at(1, 2, 0, 3), redirect_at(1, 3, 50, 5)};
	struct redirect good = r[1];

	(void)state;
	add(&there);
	plan_begin();
	assert_int_equal(shadow_plan_add(world.plan, r, 0), -EINVAL);
	r[1].key = 2;
	assert_int_equal(shadow_plan_add(world.plan, r, 2), -EINVAL);
	r[1] = good;
	r[1].to++;
	assert_int_equal(shadow_plan_add(world.plan, r, 2), -EINVAL);
	r[1] = good;
	r[1].len = 0;
	assert_int_equal(shadow_plan_add(world.plan, r, 2), -EINVAL);
	r[1] = redirect_at(1, 2, 2, 5); /* over the first */
	assert_int_equal(shadow_plan_add(world.plan, r, 2), -ENOSPC);
	r[1] = redirect_at(1, 3, 104, 5); /* over what is there */
	assert_int_equal(shadow_plan_add(world.plan, r, 2), -ENOSPC);
	r[0].key = r[1].key = 9;
	assert_int_equal(shadow_plan_add(world.plan, r, 2), -EEXIST);
	assert_int_equal(plan_carry_out(), 0);
	check_world(); /* none of the first pieces either */
}

static int count_piece(const struct redirect *r, void *count)
{
	assert_true(r->key == 1 || r->key == 2);
	++*(u32 *)count;
	return *(u32 *)count == 4 ? -EBUSY : 0;
}

static void a_plan_tells_its_pieces(void **state)
{
	struct redirect r[] = {redirect_at(1, 2, 0, 3), redirect_at(1, 3, 50, 5),
			       redirect_at(1, 4, 50, 5)};
	struct redirect s[] = {redirect_at(2, 5, 0, 3), redirect_at(2, 6, 50, 5)};
	u32 added = 0, added_of = 0, removed = 0;

	(void)state;
	add_pieces(r, 3);
	plan_begin();
	assert_false(shadow_plan_is_free(world.plan, r[1].from + 4, r[1].from + 9));
	assert_int_equal(shadow_plan_remove(world.plan, 1), 0);
	assert_true(shadow_plan_is_free(world.plan, r[1].from + 4, r[1].from + 9));
	assert_int_equal(shadow_plan_add(world.plan, s, 2), 0);
	assert_true(shadow_plan_is_free(world.plan, s[1].from - 5, s[1].from));
	assert_false(shadow_plan_is_free(world.plan, s[1].from - 5, s[1].from + 1));
	assert_int_equal(shadow_plan_for_each_added(world.plan, count_piece, &added), 0);
	assert_int_equal(shadow_plan_for_added(world.plan, 2, count_piece, &added_of), 0);
	assert_int_equal(shadow_plan_for_added(world.plan, 1, count_piece, &added_of), 0);
	assert_int_equal(shadow_plan_for_removed(world.plan, 1, count_piece, &removed), 0);
	assert_int_equal(shadow_plan_for_removed(world.plan, 2, count_piece, &removed), 0);
	assert_int_equal(added, 2);
	assert_int_equal(added_of, 2);
	assert_int_equal(removed, 3);
	assert_int_equal(shadow_plan_for_removed(world.plan, 1, count_piece, &removed), -EBUSY);
	plan_abort();
}

/* ---- memory ---- */

/* Take one away and add a hundred. */
static int large_change(void)
{
	int err;

	world.plan = shadow_plan_begin();
	if (!world.plan)
		return -ENOMEM;
	err = shadow_plan_remove(world.plan, 1);
	for (u32 i = 0; !err && i < 100; i++) {
		struct redirect r = redirect_at(2 + i, i % 12, 1000 + i, 1);

		err = shadow_plan_add(world.plan, &r, 1);
	}
	if (!err)
		return plan_carry_out();
	plan_abort();
	return err;
}

static void out_of_memory_anywhere_changes_nothing(void **state)
{
	struct redirect a = redirect_at(1, 0, 0, 5);
	u32 free_pages = 0;
	u64 used;

	(void)state;
	add(&a);
	used = used_pages();
	for (;; free_pages++) {
		int err;

		hog_memory();
		unhog_memory(free_pages);
		err = large_change();
		unhog_memory(UINT32_MAX);
		if (!err)
			break;
		assert_int_equal(err, -ENOMEM);
		check_world();
		assert_int_equal(used_pages(), used);
	}
	print_message("%u plans ran out of memory, each at another place\n", free_pages);
	assert_true(free_pages > 12);
}

static void no_growth_over_100000_cycles(void **state)
{
	struct redirect stays = redirect_at(1, 0, 0, 5);
	struct redirect r[] = {redirect_at(2, 0, 64, 5), redirect_at(3, 1, PAGE_SIZE - 2, 5)};
	struct pool_stats pool;
	u64 used = 0, peak = 0;

	(void)state;
	add(&stays);
	for (u32 i = 0; i < 100000; i++) {
		plan_begin();
		for (u32 k = 0; k < ARRAY_SIZE(r); k++)
			assert_int_equal(shadow_plan_add(world.plan, &r[k], 1), 0);
		assert_int_equal(plan_carry_out(), 0);
		if (i % 3 == 0) {
			assert_int_equal(shadow_drop_range(r[0].to, r[1].to + 1, NULL, NULL), 2);
			shadow_reap();
		} else {
			plan_begin();
			for (u32 k = 0; k < ARRAY_SIZE(r); k++)
				assert_int_equal(shadow_plan_remove(world.plan, r[k].key), 0);
			assert_int_equal(plan_carry_out(), 0);
		}
		pool_stats(&pool);
		if (i < 3) {
			used = MAX(used, pool.used_pages);
			peak = pool.peak_pages;
		} else if (pool.used_pages > used || pool.peak_pages > peak) {
			fail_msg("cycle %u: %llu pages in use, at most %llu expected", i,
				 (unsigned long long)pool.used_pages, (unsigned long long)used);
		}
	}
	check_world();
	print_message("100000 cycles: %llu pool pages in use, %llu at the peak\n",
		      (unsigned long long)pool.used_pages, (unsigned long long)pool.peak_pages);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_redirect_and_back),
		TEST(several_in_a_page),
		TEST(across_a_page_boundary),
		TEST(one_plan_changes_many),
		TEST(a_plan_counts_its_pages),
		TEST(refusals_change_nothing),
		TEST(pieces_come_and_go_together),
		TEST(pieces_that_do_not_go_together),
		TEST(a_plan_tells_its_pieces),
		TEST(guest_writes_until_the_pause_are_kept),
		TEST(aborted_plans_leave_no_trace),
		TEST(apply_may_be_repeated),
		TEST(out_of_memory_anywhere_changes_nothing),
		TEST(no_growth_over_100000_cycles),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
