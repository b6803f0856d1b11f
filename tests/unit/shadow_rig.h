/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shadow pages against a model: what the guest must see is its own bytes, and over them those of
 * the redirects in force. After each step every page is compared, through the stage-2 tables. The
 * fake machine requires break before make, and its CPUs see only published tables and code.
 */
#ifndef SHADOW_RIG_H
#define SHADOW_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "fake.h"
#include "arch/barrier.h"
#include "core/pause.h"
#include "core/pool.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "stage2/pgtable.h"
#include "stage2/shadow.h"
#include "stage2/shadow_set.h"

#define RWX   (PT_READ | PT_WRITE | PT_EXEC)
#define RX    (PT_READ | PT_EXEC)
#define PAGES 16u
#define TEXT  0xffffffff81000000ull /* guest virtual address of the first page */
#define NEW   0xffffffffc0100000ull /* where the redirects of a test lead by default */

static u32 stage2_page_shift = PAGE_SHIFT; /* for the next setup() */
static bool hidden;			   /* likewise: shadow_hide() */

/* Guest virtual pages lie in memory in another order, so that the next page is not the next ipa. */
static struct {
	u64 ipa[PAGES];
	u8 truth[PAGES][PAGE_SIZE]; /* what the guest wrote */
	struct redirect in_force[256];
	u32 nr;
	u64 rnd;
	struct shadow_plan *plan;
} world;

static inline u64 rnd(u64 below)
{
	u64 *x = &world.rnd;

	*x ^= *x << 13, *x ^= *x >> 7, *x ^= *x << 17;
	return *x % below;
}

static inline u8 *memory(u32 page)
{
	return arch_ptr(PA(world.ipa[page]));
}

/* Pool pages that shadow pages use, the plan's included. */
static inline u64 used_pages(void)
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

static inline void hog_memory(void)
{
	void *p;

	while ((p = pool_alloc(1)))
		hog.pages[hog.nr++] = p;
}

static inline void unhog_memory(u32 pages)
{
	for (; pages && hog.nr; pages--)
		pool_free(hog.pages[--hog.nr], 1);
}

static inline void guest_writes(u32 page, u32 offset, u8 byte)
{
	memory(page)[offset] = world.truth[page][offset] = byte;
}

/* The guest writes at a redirect what it reads there: its memory is as it was before. */
static inline void write_back(const struct redirect *r)
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

static inline void model_add(const struct redirect *r)
{
	assert_true(world.nr < ARRAY_SIZE(world.in_force));
	world.in_force[world.nr++] = *r;
}

static inline void model_remove(u64 key)
{
	for (u32 i = 0; i < world.nr; i++)
		if (world.in_force[i].key == key)
			world.in_force[i--] = world.in_force[--world.nr];
}

/* Pieces of one key are one redirect. */
static inline u32 model_redirects(void)
{
	u32 n = 0;

	for (u32 i = 0, j; i < world.nr; i++) {
		for (j = 0; world.in_force[j].key != world.in_force[i].key; j++)
			;
		n += i == j;
	}
	return n;
}

/* What the guest must see in the page; of hidden redirects, what it executes. */
static inline void model_page(u32 page, u8 *expected)
{
	memcpy(expected, world.truth[page], PAGE_SIZE);
	for (u32 i = 0; i < world.nr; i++) {
		const struct redirect *r = &world.in_force[i];

		for (u32 k = 0; k < r->len; k++) {
			if ((r->from + k - TEXT) / PAGE_SIZE != page)
				continue;
			/* what the guest changed it sees as it wrote it */
			if ((hidden && !r->is_data) ||
			    expected[(r->from + k) % PAGE_SIZE] == r->old[k])
				expected[(r->from + k) % PAGE_SIZE] = r->bytes[k];
		}
	}
}

static inline u64 leaf_of(u32 page)
{
	return ALIGN_DOWN(world.ipa[page], 1ull << stage2_page_shift);
}

/* Does a redirect stand in what the page's leaf maps? */
static inline bool model_leaf(u32 page)
{
	for (u32 i = 0; i < world.nr; i++) {
		const struct redirect *r = &world.in_force[i];

		if (leaf_of((u32)((r->from - TEXT) / PAGE_SIZE)) == leaf_of(page) ||
		    leaf_of((u32)((r->from + r->len - 1 - TEXT) / PAGE_SIZE)) == leaf_of(page))
			return true;
	}
	return false;
}

/* A hidden redirect's page can only be executed; but where the guest must read a piece. */
static inline u32 model_attrs(u32 page)
{
	u32 attrs = !model_leaf(page) ? RWX : hidden ? PT_EXEC : RX;

	for (u32 i = 0; i < world.nr; i++)
		if (world.in_force[i].is_data &&
		    leaf_of(page) == leaf_of((u32)((world.in_force[i].from - TEXT) / PAGE_SIZE)))
			attrs |= PT_READ;
	return attrs;
}

static inline bool first_of_its_leaf(u32 page)
{
	for (u32 i = 0; i < page; i++)
		if (leaf_of(i) == leaf_of(page))
			return false;
	return true;
}

static inline void check_world(void)
{
	struct shadow_stats stats;
	u32 nr_shadowed = 0;

	assert_string_equal(fake_violation(), "");
	for (u32 i = 0; i < PAGES; i++) {
		u64 offset = world.ipa[i] - leaf_of(i);
		bool shadowed = model_leaf(i);
		u8 expected[PAGE_SIZE];
		pa_t original, copy;
		struct pt_walk w;

		model_page(i, expected);
		assert_int_equal(pgtable_lookup(&stage2, IPA(world.ipa[i]), &w), 0);
		assert_memory_equal(arch_ptr(PA(w.pa)), expected, PAGE_SIZE);
		assert_memory_equal(memory(i), world.truth[i], PAGE_SIZE);
		assert_int_equal(w.attrs, model_attrs(i));
		assert_int_equal(w.pa == world.ipa[i], !shadowed);
		assert_int_equal(shadow_lookup(IPA(world.ipa[i] + 5), &original, &copy), shadowed);
		if (shadowed) {
			assert_int_equal(original.v + offset, world.ipa[i]);
			assert_int_equal(copy.v + offset, w.pa);
		}
		nr_shadowed += shadowed && first_of_its_leaf(i);
	}
	shadow_stats(&stats);
	assert_int_equal(stats.pages, nr_shadowed);
	assert_int_equal(stats.redirects, model_redirects());
	assert_int_equal(stats.plan_open, world.plan != NULL);
}

/* ---- plans ---- */

static inline void plan_begin(void)
{
	world.plan = shadow_plan_begin();
	assert_non_null(world.plan);
}

static inline void plan_abort(void)
{
	shadow_plan_abort(world.plan);
	world.plan = NULL;
}

/* The rest of a plan's life, after its adds and removes. */
static inline int plan_carry_out(void)
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

static inline void add_pieces(const struct redirect *r, u32 count)
{
	plan_begin();
	assert_int_equal(shadow_plan_add(world.plan, r, count), 0);
	assert_int_equal(plan_carry_out(), 0);
	for (u32 i = 0; i < count; i++)
		model_add(&r[i]);
	check_world();
}

static inline void add(const struct redirect *r)
{
	add_pieces(r, 1);
}

static inline void remove_key(u64 key)
{
	plan_begin();
	assert_int_equal(shadow_plan_remove(world.plan, key), 0);
	assert_int_equal(plan_carry_out(), 0);
	model_remove(key);
	check_world();
}

static inline int setup(void **state)
{
	u64 base;

	(void)state;
	fake_reset(3);
	fake_patch_unit = 1;
	fake_stage2_format()->page_shift = stage2_page_shift;
	fake_stage2_format()->top_level = stage2_page_shift == PAGE_SHIFT ? 3 : 2;
	fake_stage2_format()->input_bits = 42;
	if (pgtable_init(&stage2, arch_stage2_format()) ||
	    pgtable_map(&stage2, IPA(0), PA(0), 4ull << 30, RWX))
		return -1;
	fake_stage2_format()->exec_only = hidden;
	shadow.hidden = false;
	if (hidden && shadow_hide())
		return -1;
	fake_stage2_watch(true);
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

/* After each test: with no redirect in force no page of the pool is in use. */
static inline int setup_hidden(void **state)
{
	hidden = true;
	return setup(state);
}

static inline int teardown(void **state)
{
	(void)state;
	hidden = shadow.hidden = false;
	unhog_memory(UINT32_MAX);
	if (world.plan)
		plan_abort();
	shadow_drop_range(0, UINT64_MAX, NULL, NULL);
	world.plan = shadow_plan_begin();
	return !world.plan || plan_carry_out() || used_pages();
}

/* ---- dropping ---- */

static u64 dropped_keys;

static inline void note_dropped(u64 key, void *arg)
{
	assert_ptr_equal(arg, &world);
	dropped_keys |= 1ull << key % 64;
	model_remove(key);
}

static inline int drop(u64 start, u64 end)
{
	dropped_keys = 0;
	return shadow_drop_range(start, end, note_dropped, &world);
}

#define TEST(f)	       cmocka_unit_test_setup_teardown(f, setup, teardown)
#define TEST_HIDDEN(f) cmocka_unit_test_setup_teardown(f, setup_hidden, teardown)

#endif
