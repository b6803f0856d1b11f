/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shadow pages against a model: what the guest must see is its own bytes, and over them those of
 * the redirects in force. After each step every page is compared, through the stage-2 tables.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "fake.h"
#include "arch/barrier.h"
#include "core/errno.h"
#include "core/lib/string.h"
#include "core/pause.h"
#include "core/pool.h"
#include "stage2/shadow.h"
#include "stage2/stage2.h"

#define RWX   (PT_READ | PT_WRITE | PT_EXEC)
#define RX    (PT_READ | PT_EXEC)
#define PAGES 16u
#define TEXT  0xffffffff81000000ull /* guest virtual address of the first page */
#define NEW   0xffffffffc0100000ull /* where the redirects of a test lead by default */

/* Guest virtual pages lie in memory in another order, so that the next page is not the next ipa. */
static struct {
	u64 ipa[PAGES];
	u8 truth[PAGES][PAGE_SIZE]; /* what the guest wrote */
	struct redirect in_force[256];
	u32 nr;
	u64 rnd;
	struct shadow_plan *plan;
} world;

static u64 rnd(u64 below)
{
	u64 *x = &world.rnd;

	*x ^= *x << 13, *x ^= *x >> 7, *x ^= *x << 17;
	return *x % below;
}

static u8 *memory(u32 page)
{
	return arch_ptr(PA(world.ipa[page]));
}

/* Pool pages that shadow pages use, the plan's included. */
static u64 used_pages(void)
{
	struct pool_stats s;

	pool_stats(&s);
	return s.used_pages - stage2.tables;
}

/* The pool's free pages, taken away so that nothing can be allocated. */
static struct {
	void *pages[FAKE_POOL_SIZE / PAGE_SIZE];
	u32 nr;
} hog;

static void hog_memory(void)
{
	void *p;

	while ((p = pool_alloc(1)))
		hog.pages[hog.nr++] = p;
}

static void unhog_memory(u32 pages)
{
	for (; pages && hog.nr; pages--)
		pool_free(hog.pages[--hog.nr], 1);
}

static void guest_writes(u32 page, u32 offset, u8 byte)
{
	memory(page)[offset] = world.truth[page][offset] = byte;
}

/* The guest writes at a redirect what it reads there: its memory is as it was before. */
static void write_back(const struct redirect *r)
{
	for (u32 k = 0; k < r->len; k++) {
		u32 at = (u32)(r->from - TEXT) + k, page = at / (u32)PAGE_SIZE;

		memory(page)[at % PAGE_SIZE] = r->bytes[k];
		world.truth[page][at % PAGE_SIZE] = r->old[k];
	}
	for (u32 k = 0; k < r->len; k++) {
		u32 at = (u32)(r->from - TEXT) + k, page = at / (u32)PAGE_SIZE;

		shadow_write_through(IPA(world.ipa[page] + at % PAGE_SIZE), 1);
	}
}

static struct redirect redirect_at(u64 key, u32 page, u32 offset, u32 len)
{
	struct redirect r = {
		.key = key,
		.from = TEXT + page * PAGE_SIZE + offset,
		.to = NEW + key * 64,
		.ipa = IPA(world.ipa[page] + offset),
		.len = len,
	};

	if (offset + len > PAGE_SIZE)
		r.ipa2 = IPA(world.ipa[page + 1]);
	for (u32 i = 0; i < len && len <= REDIRECT_MAX; i++) {
		u32 at = page * (u32)PAGE_SIZE + offset + i;

		r.old[i] = world.truth[at / PAGE_SIZE][at % PAGE_SIZE];
		r.bytes[i] = (u8)~r.old[i];
	}
	return r;
}

/* ---- the model ---- */

static void model_add(const struct redirect *r)
{
	assert_true(world.nr < ARRAY_SIZE(world.in_force));
	world.in_force[world.nr++] = *r;
}

static void model_remove(u64 key)
{
	for (u32 i = 0; i < world.nr; i++)
		if (world.in_force[i].key == key)
			world.in_force[i--] = world.in_force[--world.nr];
}

/* What the guest must see in the page; returns whether a redirect stands in it. */
static bool model_page(u32 page, u8 *expected)
{
	bool shadowed = false;

	memcpy(expected, world.truth[page], PAGE_SIZE);
	for (u32 i = 0; i < world.nr; i++) {
		const struct redirect *r = &world.in_force[i];

		for (u32 k = 0; k < r->len; k++) {
			if ((r->from + k - TEXT) / PAGE_SIZE != page)
				continue;
			/* what the guest changed it sees as it wrote it */
			if (expected[(r->from + k) % PAGE_SIZE] == r->old[k])
				expected[(r->from + k) % PAGE_SIZE] = r->bytes[k];
			shadowed = true;
		}
	}
	return shadowed;
}

static void check_world(void)
{
	struct shadow_stats stats;
	u32 nr_shadowed = 0;

	for (u32 i = 0; i < PAGES; i++) {
		u8 expected[PAGE_SIZE];
		bool shadowed = model_page(i, expected);
		pa_t original, copy;
		struct pt_walk w;

		assert_int_equal(stage2_lookup(&stage2, IPA(world.ipa[i]), &w), 0);
		assert_memory_equal(arch_ptr(PA(w.pa)), expected, PAGE_SIZE);
		assert_memory_equal(memory(i), world.truth[i], PAGE_SIZE);
		assert_int_equal(w.attrs, shadowed ? RX : RWX);
		assert_int_equal(w.pa == world.ipa[i], !shadowed);
		assert_int_equal(shadow_lookup(IPA(world.ipa[i] + 5), &original, &copy), shadowed);
		if (shadowed) {
			assert_int_equal(original.v, world.ipa[i]);
			assert_int_equal(copy.v, w.pa);
		}
		nr_shadowed += shadowed;
	}
	shadow_stats(&stats);
	assert_int_equal(stats.pages, nr_shadowed);
	assert_int_equal(stats.redirects, world.nr);
	assert_int_equal(stats.plan_open, world.plan != NULL);
}

/* ---- plans ---- */

static void plan_begin(void)
{
	world.plan = shadow_plan_begin();
	assert_non_null(world.plan);
}

static void plan_abort(void)
{
	shadow_plan_abort(world.plan);
	world.plan = NULL;
}

/* The rest of a plan's life, after its adds and removes. */
static int plan_carry_out(void)
{
	int err = shadow_plan_prepare(world.plan);

	if (!err)
		err = shadow_plan_fill(world.plan);
	if (err) {
		plan_abort();
		return err;
	}
	shadow_plan_apply(world.plan);
	shadow_plan_finish(world.plan);
	world.plan = NULL;
	return 0;
}

static void add(const struct redirect *r)
{
	plan_begin();
	assert_int_equal(shadow_plan_add(world.plan, r), 0);
	assert_int_equal(plan_carry_out(), 0);
	model_add(r);
	check_world();
}

static void remove_key(u64 key)
{
	plan_begin();
	assert_int_equal(shadow_plan_remove(world.plan, key), 0);
	assert_int_equal(plan_carry_out(), 0);
	model_remove(key);
	check_world();
}

static int setup(void **state)
{
	u64 base;

	(void)state;
	fake_reset(3);
	if (stage2_init(&stage2, arch_stage2_format()) ||
	    stage2_map(&stage2, IPA(0), PA(0), 4ull << 30, RWX))
		return -1;
	memset(&world, 0, sizeof(world));
	world.rnd = 88172645463325252ull;
	base = fake_guest_alloc(PAGES * PAGE_SIZE).v;
	for (u32 i = 0; i < PAGES; i++) {
		world.ipa[i] = base + i * 7 % PAGES * PAGE_SIZE;
		for (u32 b = 0; b < PAGE_SIZE; b++)
			guest_writes(i, b, (u8)rnd(256));
	}
	return 0;
}

/* Whatever the test did: with nothing in force no page of the pool is in use. */
static int teardown(void **state)
{
	(void)state;
	unhog_memory(UINT32_MAX);
	if (world.plan)
		plan_abort();
	shadow_drop_range(0, UINT64_MAX, NULL, NULL);
	world.plan = shadow_plan_begin();
	return !world.plan || plan_carry_out() || used_pages();
}

/* ---- tests ---- */

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

		assert_int_equal(shadow_plan_add(world.plan, &r), 0);
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
		assert_int_equal(shadow_plan_add(world.plan, &r), 0);
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
	assert_int_equal(shadow_plan_add(world.plan, &c), 0);
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
	assert_int_equal(shadow_plan_add(world.plan, &other), -EEXIST);
	other = redirect_at(2, 4, PAGE_SIZE - 7, 5);
	assert_int_equal(shadow_plan_add(world.plan, &other), -ENOSPC);
	other = redirect_at(2, 5, 1, 5); /* its second page */
	assert_int_equal(shadow_plan_add(world.plan, &other), -ENOSPC);
	assert_int_equal(shadow_plan_remove(world.plan, 2), -ENOENT);

	bad = redirect_at(2, 9, 0, 5);
	bad.len = 0;
	assert_int_equal(shadow_plan_add(world.plan, &bad), -EINVAL);
	bad.len = REDIRECT_MAX + 1;
	assert_int_equal(shadow_plan_add(world.plan, &bad), -EINVAL);
	bad = redirect_at(2, 9, 0, 5);
	bad.from++;
	assert_int_equal(shadow_plan_add(world.plan, &bad), -EINVAL);
	bad = redirect_at(2, 9, PAGE_SIZE - 2, 5);
	bad.ipa2.v++;
	assert_int_equal(shadow_plan_add(world.plan, &bad), -EINVAL);
	bad.ipa2.v = world.ipa[9];
	assert_int_equal(shadow_plan_add(world.plan, &bad), -EINVAL);

	other = redirect_at(2, 5, 2, 5); /* just behind is free */
	assert_int_equal(shadow_plan_add(world.plan, &other), 0);
	assert_int_equal(shadow_plan_fill(world.plan), -EINVAL); /* not prepared */
	assert_int_equal(shadow_plan_prepare(world.plan), 0);
	assert_int_equal(shadow_plan_prepare(world.plan), -EINVAL);
	assert_int_equal(shadow_plan_add(world.plan, &other), -EINVAL);
	assert_int_equal(shadow_plan_remove(world.plan, 1), -EINVAL);
	plan_abort();
	check_world();

	plan_begin();
	bad = redirect_at(2, 9, 0, 5);
	bad.ipa.v = 5ull << 30; /* nothing is mapped there */
	assert_int_equal(shadow_plan_add(world.plan, &bad), 0);
	assert_int_equal(plan_carry_out(), -ENOENT);
	check_world();
}

static void guest_writes_until_the_pause_are_kept(void **state)
{
	struct redirect r = redirect_at(1, 4, PAGE_SIZE - 3, 5);

	(void)state;
	plan_begin();
	assert_int_equal(shadow_plan_add(world.plan, &r), 0);
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
			assert_int_equal(shadow_plan_add(world.plan, &b), 0);
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
	assert_int_equal(shadow_plan_add(world.plan, &b), 0);
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

/* ---- dropping ---- */

static u64 dropped_keys;

static void note_dropped(u64 key, void *arg)
{
	assert_ptr_equal(arg, &world);
	dropped_keys |= 1ull << key % 64;
	model_remove(key);
}

static int drop(u64 start, u64 end)
{
	dropped_keys = 0;
	return shadow_drop_range(start, end, note_dropped, &world);
}

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

static void a_drop_overtakes_an_open_plan(void **state)
{
	struct redirect a = redirect_at(1, 2, 0, 5), b = redirect_at(2, 2, 50, 5);

	(void)state;
	add(&a);
	plan_begin();
	assert_int_equal(shadow_plan_add(world.plan, &b), 0);
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
	assert_int_equal(shadow_plan_add(world.plan, &b), 0);
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
	assert_int_equal(shadow_plan_add(world.plan, &other), 0);
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

		err = shadow_plan_add(world.plan, &r);
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
			assert_int_equal(shadow_plan_add(world.plan, &r[k]), 0);
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

/* ---- anything, many times ---- */

static bool model_overlaps(const struct redirect *r)
{
	for (u32 i = 0; i < world.nr; i++) {
		const struct redirect *o = &world.in_force[i];

		if (r->from < o->from + o->len && o->from < r->from + r->len)
			return true;
	}
	return false;
}

static bool is_touched(const struct redirect *r)
{
	return memcmp(&world.truth[0][0] + (r->from - TEXT), r->old, r->len) != 0;
}

static void random_plan(void)
{
	struct redirect removed[8], added[8];
	bool touched = false;
	u32 nr_removed = 0, nr_added = 0;

	plan_begin();
	for (u32 n = (u32)rnd(8); n && world.nr; n--) {
		removed[nr_removed] = world.in_force[rnd(world.nr)];
		assert_int_equal(shadow_plan_remove(world.plan, removed[nr_removed].key), 0);
		model_remove(removed[nr_removed++].key);
	}
	for (u32 n = (u32)rnd(8); n && world.nr < 200; n--) {
		u32 page = (u32)rnd(PAGES - 1);
		struct redirect r = redirect_at(rnd(1u << 30), page,
						(u32)rnd(4) ? (u32)rnd(PAGE_SIZE) : PAGE_SIZE - 3,
						1 + (u32)rnd(REDIRECT_MAX));

		assert_int_equal(shadow_plan_add(world.plan, &r), model_overlaps(&r) ? -ENOSPC : 0);
		if (model_overlaps(&r))
			continue;
		model_add(&r);
		added[nr_added++] = r;
	}
	for (u32 i = 0; i < nr_removed; i++)
		touched |= is_touched(&removed[i]);
	if (rnd(4)) {
		assert_int_equal(plan_carry_out(), touched ? -EBUSY : 0);
		if (!touched)
			return;
	} else {
		assert_int_equal(shadow_plan_prepare(world.plan), 0);
		plan_abort();
	}
	while (nr_added)
		model_remove(added[--nr_added].key);
	while (nr_removed)
		model_add(&removed[--nr_removed]);
}

/* The model of a write-back: all bytes of a redirect hold what was there or what is read there. */
static void model_write_back(const struct redirect *r)
{
	u8 *truth = &world.truth[0][0] + (r->from - TEXT);

	for (u32 k = 0; k < r->len; k++)
		if (truth[k] != r->old[k] && truth[k] != r->bytes[k])
			return;
	memcpy(truth, r->old, r->len);
}

static void random_write(void)
{
	u32 page = (u32)rnd(PAGES), offset = (u32)rnd(PAGE_SIZE - 16), len = 1 + (u32)rnd(16);
	u8 seen_by_guest[PAGE_SIZE];

	/* Often at a redirect, and then often what can be read there. */
	if (world.nr && rnd(2)) {
		const struct redirect *r = &world.in_force[rnd(world.nr)];

		page = (u32)((r->from - TEXT) / PAGE_SIZE);
		offset = MIN(offset, (u32)(r->from % PAGE_SIZE));
	}
	model_page(page, seen_by_guest);
	for (u32 i = 0; i < len; i++)
		guest_writes(page, offset + i, rnd(4) ? seen_by_guest[offset + i] : (u8)rnd(256));
	for (u32 i = 0; i < world.nr; i++) {
		const struct redirect *r = &world.in_force[i];
		u64 start = TEXT + page * PAGE_SIZE + offset;

		if (r->from < start + len && start < r->from + r->len)
			model_write_back(r);
	}
	shadow_write_through(IPA(world.ipa[page] + offset), len);
}

static void anything_in_any_order(void **state)
{
	u32 plans = 0, drops = 0, writes = 0;

	(void)state;
	for (u32 i = 0; i < 10000; i++) {
		u64 start = TEXT + rnd(PAGES * PAGE_SIZE);

		switch (rnd(10)) {
		case 8:
		case 9:
			if (world.nr)
				write_back(&world.in_force[rnd(world.nr)]);
			break;
		case 0:
			drops += (u32)drop(start, start + rnd(PAGE_SIZE));
			break;
		case 1:
			shadow_reap();
			break;
		case 2:
		case 3:
			random_write();
			writes++;
			break;
		default:
			random_plan();
			plans++;
		}
		check_world();
	}
	print_message("%u plans, %u redirects dropped, %u writes\n", plans, drops, writes);
}

/* ---- with guest CPUs that run ---- */

static struct {
	u64 looks, torn, versions[256];
} seen;

/* Reads two redirects of one patch, each through the tables: never of two versions. */
static void guest_looks(struct cpu *c)
{
	u8 byte[2];

	(void)c;
	for (u32 i = 0; i < 2; i++) {
		struct pt_walk w;

		if (stage2_lookup(&stage2, IPA(world.ipa[i] + 10), &w))
			return;
		byte[i] = *(volatile u8 *)arch_ptr(PA(w.pa));
		arch_relax();
	}
	__atomic_fetch_add(&seen.looks, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&seen.versions[byte[0]], 1, __ATOMIC_RELAXED);
	if (byte[0] != byte[1])
		__atomic_fetch_add(&seen.torn, 1, __ATOMIC_RELAXED);
}

/* Wait until the guest has looked again, on more than one CPU. */
static void guest_goes_on(void)
{
	u64 looks = __atomic_load_n(&seen.looks, __ATOMIC_RELAXED);

	while (__atomic_load_n(&seen.looks, __ATOMIC_RELAXED) < looks + 10)
		arch_relax();
}

static void all_pages_change_at_once(void **state)
{
	u32 switched = 0, timeouts = 0;
	struct pause pause;

	(void)state;
	memset(&seen, 0, sizeof(seen));
	guest_writes(0, 10, 0);
	guest_writes(1, 10, 0);
	fake_guest_start(guest_looks);
	while (switched < 300) {
		int err = 0;

		plan_begin();
		for (u32 i = 0; i < 2; i++) {
			struct redirect r = redirect_at(i, i, 10, 1);

			r.bytes[0] = (u8)(1 + switched % 255);
			if (shadow_plan_remove(world.plan, i))
				assert_int_equal(switched, 0);
			assert_int_equal(shadow_plan_add(world.plan, &r), 0);
		}
		assert_int_equal(shadow_plan_prepare(world.plan), 0);
		err = pause_begin(&pause, 100000);
		if (!err) {
			assert_int_equal(pause.cpus_held, 3);
			assert_int_equal(shadow_plan_fill(world.plan), 0);
			err = pause_commit(&pause, shadow_plan_apply, world.plan);
			if (!err)
				shadow_plan_apply(world.plan);
			pause_end(&pause);
		}
		shadow_plan_finish(world.plan);
		world.plan = NULL;
		switched += !err;
		timeouts += err != 0;
		guest_goes_on();
	}
	fake_guest_stop();
	for (u32 i = 0; i < ARRAY_SIZE(seen.versions); i++)
		seen.versions[i] = seen.versions[i] != 0;
	for (u32 i = 1; i < ARRAY_SIZE(seen.versions); i++)
		seen.versions[0] += seen.versions[i];
	print_message("%u switches, %u pauses too short; %llu looks saw %llu versions, none torn\n",
		      switched, timeouts, (unsigned long long)seen.looks,
		      (unsigned long long)seen.versions[0]);
	assert_int_equal(seen.torn, 0);
	assert_true(seen.versions[0] > 200);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_redirect_and_back),
		TEST(several_in_a_page),
		TEST(across_a_page_boundary),
		TEST(one_plan_changes_many),
		TEST(a_plan_counts_its_pages),
		TEST(refusals_change_nothing),
		TEST(guest_writes_until_the_pause_are_kept),
		TEST(aborted_plans_leave_no_trace),
		TEST(apply_may_be_repeated),
		TEST(a_range_is_dropped_without_memory),
		TEST(a_drop_overtakes_an_open_plan),
		TEST(nothing_is_switched_on_at_the_end_of_a_kernel),
		TEST(writes_reach_the_copy),
		TEST(what_the_guest_changed_is_not_taken_away),
		TEST(what_the_guest_reads_it_may_write_back),
		TEST(writes_may_cross_pages),
		TEST(out_of_memory_anywhere_changes_nothing),
		TEST(no_growth_over_100000_cycles),
		TEST(anything_in_any_order),
		TEST(all_pages_change_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
