/* SPDX-License-Identifier: BSD-2-Clause */
/* Actions of the guest: drops, and writes to shadowed pages. */
#include "shadow_rig.h"

static void a_range_is_dropped_without_memory(void **state)
{
	struct redirect r[] = {
		redirect_at(1, 2, 0, 5),
		redirect_at(2, 2, 50, 5),
		redirect_at(3, 3, PAGE_SIZE - 2, 5),
		redirect_at(4, 4, 100, 5),
		redirect_at(5, 8, 100, 5),
	};
	u64 used;

	(void)state;
	r[4].to = TEXT + 12 * PAGE_SIZE;
	for (u32 i = 0; i < ARRAY_SIZE(r); i++)
		add(&r[i]);
	hog_memory();
	used = used_pages();

	/* Text just beside a redirect is not the redirect. */
	assert_int_equal(drop(TEXT + 2 * PAGE_SIZE + 5, TEXT + 2 * PAGE_SIZE + 50), 0);
	assert_int_equal(drop(r[4].to + 1, r[4].to + 100), 0);
	check_world();
	/* One of a page; the page stays shadowed. */
	assert_int_equal(drop(TEXT + 2 * PAGE_SIZE + 50, TEXT + 2 * PAGE_SIZE + 51), 1);
	assert_int_equal(dropped_keys, 1u << 2);
	check_world();
	/* One that crosses into the range. */
	assert_int_equal(drop(TEXT + 4 * PAGE_SIZE, TEXT + 4 * PAGE_SIZE + 1), 1);
	assert_int_equal(dropped_keys, 1u << 3);
	check_world();
	/* Those that lead into it. */
	assert_int_equal(drop(TEXT + 12 * PAGE_SIZE - 1, TEXT + 12 * PAGE_SIZE + 1), 1);
	assert_int_equal(dropped_keys, 1u << 5);
	check_world();
	assert_int_equal(drop(0, UINT64_MAX), 2);
	assert_int_equal(dropped_keys, 1u << 1 | 1u << 4);
	check_world();
	assert_int_equal(drop(0, UINT64_MAX), 0);

	/* The four copies come back. */
	shadow_reap();
	used -= 4;
	assert_int_equal(used_pages(), used);
	shadow_reap();
	assert_int_equal(used_pages(), used);
	check_world();
}

/* Its pieces may be elsewhere. */
static void a_functions_redirect_is_dropped_with_it(void **state)
{
	struct redirect r = redirect_at(TEXT + 9 * PAGE_SIZE, 2, 0, 8);

	(void)state;
	r.to = NEW;
	add(&r);
	assert_int_equal(drop(r.key - 1, r.key), 0);
	assert_int_equal(drop(r.key + 1, r.key + 2), 0);
	check_world();
	assert_int_equal(drop(r.key, r.key + 1), 1);
	check_world();
}

/* Whichever of its pieces the range meets: the redirect is not left halfway. */
static void all_pieces_are_dropped(void **state)
{
	struct redirect r[] = {
		redirect_at(1, 2, 0, 3),
		redirect_at(1, 2, 8, 5),
		redirect_at(1, 7, PAGE_SIZE - 2, 5),
	};
	struct redirect other = redirect_at(2, 2, 40, 5);

	(void)state;
	add(&other);
	for (u32 i = 0; i < ARRAY_SIZE(r); i++) {
		add_pieces(r, ARRAY_SIZE(r));
		assert_int_equal(drop(r[i].from + r[i].len - 1, r[i].from + r[i].len), 1);
		assert_int_equal(dropped_keys, 1u << 1);
		check_world();
		shadow_reap();
	}
	add_pieces(r, ARRAY_SIZE(r));
	assert_int_equal(drop(r[0].to, r[0].to + 1), 1);
	check_world();
	add_pieces(r, ARRAY_SIZE(r));
	assert_int_equal(drop(0, UINT64_MAX), 2);
	check_world();
}

/* A breakpoint on one piece: none of them is taken away or replaced; the others still are there. */
static void a_breakpoint_on_one_piece(void **state)
{
	struct redirect r[] = {redirect_at(1, 4, 100, 3), redirect_at(1, 9, 100, 5)};

	(void)state;
	add_pieces(r, ARRAY_SIZE(r));
	guest_writes(9, 102, 0xcc);
	assert_true(shadow_write_through(IPA(world.ipa[9] + 102), 1));
	check_world();
	plan_begin();
	assert_int_equal(shadow_plan_remove(world.plan, 1), 0);
	assert_int_equal(shadow_plan_prepare(world.plan), 0);
	assert_int_equal(shadow_plan_fill(world.plan), -EBUSY);
	assert_int_equal(shadow_plan_obstacle(world.plan), r[1].from);
	plan_abort();
	check_world();
	memory(9)[102] = r[1].bytes[2];
	world.truth[9][102] = r[1].old[2];
	assert_true(shadow_write_through(IPA(world.ipa[9] + 102), 1));
	remove_key(1);
}

static void a_drop_overtakes_an_open_plan(void **state)
{
	struct redirect a = redirect_at(1, 2, 0, 5), b = redirect_at(2, 2, 50, 5);

	(void)state;
	add(&a);
	plan_begin();
	assert_int_equal(shadow_plan_add(world.plan, &b, 1), 0);
	assert_int_equal(shadow_plan_prepare(world.plan), 0);
	assert_int_equal(shadow_plan_fill(world.plan), 0);
	/* b is not in force yet, but its target goes away now. */
	assert_int_equal(drop(b.to, b.to + 1), 0);
	assert_int_equal(shadow_plan_fill(world.plan), -EAGAIN);
	shadow_plan_apply(world.plan);
	check_world();
	assert_int_equal(drop(a.to, a.to + 1), 1);
	check_world();
	plan_abort();
	shadow_reap();
	check_world();
	add(&b);
}

static void nothing_is_switched_on_at_the_end_of_a_kernel(void **state)
{
	struct redirect a = redirect_at(1, 2, 0, 5), b = redirect_at(2, 2, 50, 5);

	(void)state;
	add(&a);
	assert_int_equal(shadow_close(note_dropped, &world), 1);
	check_world();
	/* also with a plan that begins after it */
	plan_begin();
	assert_int_equal(shadow_plan_add(world.plan, &b, 1), 0);
	assert_int_equal(shadow_plan_prepare(world.plan), 0);
	assert_int_equal(shadow_plan_fill(world.plan), -EAGAIN);
	shadow_plan_apply(world.plan);
	check_world();
	plan_abort();
	shadow_open();
	add(&b);
}

/* ---- writes of the guest to shadowed pages ---- */

static void writes_reach_the_copy(void **state)
{
	struct redirect r = redirect_at(1, 4, PAGE_SIZE - 3, 5);
	struct redirect s = redirect_at(2, 4, 100, 5);

	(void)state;
	assert_false(shadow_write_through(IPA(world.ipa[4]), 8));
	add(&r);
	add(&s);

	for (u32 i = 90; i < 110; i++)
		guest_writes(4, i, (u8)~world.truth[4][i] ^ 1);
	assert_true(shadow_write_through(IPA(world.ipa[4] + 90), 20));
	check_world();
	/* Only what was written is brought over. */
	guest_writes(4, 200, (u8)~world.truth[4][200]);
	guest_writes(4, 202, (u8)~world.truth[4][202]);
	assert_true(shadow_write_through(IPA(world.ipa[4] + 200), 1));
	assert_true(shadow_write_through(IPA(world.ipa[4] + 202), 1));
	check_world();
	assert_false(shadow_write_through(IPA(world.ipa[7]), 1));
}

/* A breakpoint of the guest's on a redirect: it stays, and the redirect stays under it. */
static void what_the_guest_changed_is_not_taken_away(void **state)
{
	struct redirect r = redirect_at(1, 4, 100, 5), s = redirect_at(2, 4, 300, 5);
	struct redirect other = redirect_at(1, 4, 100, 5);

	(void)state;
	add(&r);
	guest_writes(4, 100, 0xcc);
	assert_true(shadow_write_through(IPA(world.ipa[4] + 100), 1));
	check_world();
	/* The page is made anew for another redirect: the breakpoint is still there. */
	add(&s);
	remove_key(2);

	/* Neither taken out of force nor replaced. */
	plan_begin();
	assert_int_equal(shadow_plan_remove(world.plan, 1), 0);
	assert_int_equal(shadow_plan_prepare(world.plan), 0);
	assert_int_equal(shadow_plan_fill(world.plan), -EBUSY);
	assert_int_equal(shadow_plan_obstacle(world.plan), r.from);
	shadow_plan_apply(world.plan);
	check_world();
	plan_abort();
	plan_begin();
	assert_int_equal(shadow_plan_remove(world.plan, 1), 0);
	other.bytes[4] ^= 1;
	assert_int_equal(shadow_plan_add(world.plan, &other, 1), 0);
	assert_int_equal(shadow_plan_prepare(world.plan), 0);
	assert_int_equal(shadow_plan_fill(world.plan), -EBUSY);
	plan_abort();
	check_world();

	/* It goes: the guest writes back what it read there first. */
	memory(4)[100] = r.bytes[0];
	world.truth[4][100] = r.old[0];
	assert_true(shadow_write_through(IPA(world.ipa[4] + 100), 1));
	check_world();
	remove_key(1);
}

static void what_the_guest_reads_it_may_write_back(void **state)
{
	struct redirect r = redirect_at(1, 4, 100, 5);

	(void)state;
	add(&r);
	/* The guest copies eight bytes as it sees them, and changes the last. */
	memcpy(memory(4) + 98, world.truth[4] + 98, 2);
	memcpy(memory(4) + 100, r.bytes, 5);
	guest_writes(4, 105, 0x5a);
	assert_true(shadow_write_through(IPA(world.ipa[4] + 98), 8));
	check_world(); /* memory holds the truth again */

	/* A breakpoint over the first byte, and its removal. */
	guest_writes(4, 100, 0xcc);
	assert_true(shadow_write_through(IPA(world.ipa[4] + 100), 1));
	check_world();
	memory(4)[100] = r.bytes[0];
	world.truth[4][100] = r.old[0];
	assert_true(shadow_write_through(IPA(world.ipa[4] + 100), 1));
	check_world();

	/* New code of the guest's own, which begins as the redirect does, in the kernel's order. */
	guest_writes(4, 100, 0xcc);
	assert_true(shadow_write_through(IPA(world.ipa[4] + 100), 1));
	for (u32 i = 101; i < 105; i++)
		guest_writes(4, i, (u8)~r.old[i - 100] ^ 0x10);
	assert_true(shadow_write_through(IPA(world.ipa[4] + 101), 4));
	guest_writes(4, 100, r.bytes[0]);
	assert_true(shadow_write_through(IPA(world.ipa[4] + 100), 1));
	check_world();
	write_back(&r);
	check_world();
	remove_key(1);
}

static void assert_guest_executes(u32 page, u32 offset, const void *bytes, size_t len)
{
	struct pt_walk w;

	assert_int_equal(pgtable_lookup(&stage2, IPA(world.ipa[page]), &w), 0);
	assert_memory_equal((u8 *)arch_ptr(PA(w.pa)) + offset, bytes, len);
}

/*
 * An instruction of four bytes that the guest writes shares a byte with the one that was there, or
 * is made of bytes of that one and of the redirect: it is the guest's all the same.
 */
static void what_the_guest_writes_is_whole_instructions(void **state)
{
	struct redirect r = redirect_at(1, 4, 100, 8);
	u8 breakpoint[4] = {0x80, 0x00, 0x20, 0xd4}, mixture[4];

	(void)state;
	fake_patch_unit = 4;
	guest_writes(4, 101, breakpoint[1]);
	r = redirect_at(1, 4, 100, 8);
	add(&r);
	for (u32 i = 0; i < 4; i++)
		guest_writes(4, 100 + i, breakpoint[i]);
	assert_true(shadow_write_through(IPA(world.ipa[4] + 100), 4));
	assert_guest_executes(4, 100, breakpoint, 4);
	assert_guest_executes(4, 104, r.bytes + 4, 4);

	for (u32 i = 0; i < 4; i++) {
		mixture[i] = i & 1 ? r.old[i] : r.bytes[i];
		guest_writes(4, 100 + i, mixture[i]);
	}
	assert_true(shadow_write_through(IPA(world.ipa[4] + 100), 4));
	assert_memory_equal(memory(4) + 100, mixture, 4);
	assert_guest_executes(4, 100, mixture, 4);

	write_back(&r);
	assert_guest_executes(4, 100, r.bytes, 8);
	remove_key(1);
	/* a piece is whole units */
	plan_begin();
	r = redirect_at(1, 4, 102, 4);
	assert_int_equal(shadow_plan_add(world.plan, &r, 1), -EINVAL);
	r = redirect_at(1, 4, 100, 6);
	assert_int_equal(shadow_plan_add(world.plan, &r, 1), -EINVAL);
	plan_abort();
}

static void writes_may_cross_pages(void **state)
{
	u64 ipa;
	u32 first = 0, second = 0;
	struct redirect r;

	(void)state;
	/* Two pages that are neighbours in memory. */
	for (u32 i = 0; i < PAGES; i++)
		if (world.ipa[i] == world.ipa[first] + PAGE_SIZE)
			second = i;
	assert_int_not_equal(second, 0);
	r = redirect_at(1, second, 2, 5);
	add(&r);
	ipa = world.ipa[first] + PAGE_SIZE - 4;
	for (u32 i = 0; i < 4; i++) {
		guest_writes(first, PAGE_SIZE - 4 + i, (u8)i);
		guest_writes(second, i, (u8)(100 + i));
	}
	assert_true(shadow_write_through(IPA(ipa), 8));
	check_world();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_range_is_dropped_without_memory),
		TEST(a_functions_redirect_is_dropped_with_it),
		TEST(all_pieces_are_dropped),
		TEST(a_breakpoint_on_one_piece),
		TEST(a_drop_overtakes_an_open_plan),
		TEST(nothing_is_switched_on_at_the_end_of_a_kernel),
		TEST(writes_reach_the_copy),
		TEST(what_the_guest_changed_is_not_taken_away),
		TEST(what_the_guest_reads_it_may_write_back),
		TEST(what_the_guest_writes_is_whole_instructions),
		TEST(writes_may_cross_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
