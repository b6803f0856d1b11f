/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rules for changes of tables, which the fake machine checks: publication, break before make,
 * splitting in a pause; and the geometries, memory types and rights of formats.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "fake.h"
#include "leaf.h"
#include "arch/publish.h"
#include "arch/upcalls.h"
#include "core/cpu.h"
#include "core/pause.h"
#include "core/pool.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "stage2/idmap.h"
#include "stage2/split.h"

#define RWX (PT_READ | PT_WRITE | PT_EXEC)
#define MB  (1ull << 20)
#define GB  (1ull << 30)

static int setup(void **state)
{
	(void)state;
	fake_reset(2);
	return 0;
}

static void start(bool break_before_make)
{
	assert_int_equal(pgtable_init(&stage2, arch_stage2_format()), 0);
	fake_stage2_watch(break_before_make);
}

static void map(u64 ipa, u64 size)
{
	assert_int_equal(pgtable_map(&stage2, IPA(ipa), PA(ipa), size, RWX), 0);
}

static void assert_maps(u64 ipa, u64 pa, u32 level)
{
	struct pt_walk w;

	assert_int_equal(pgtable_lookup(&stage2, IPA(ipa), &w), 0);
	assert_int_equal(w.pa, pa);
	assert_int_equal(w.level, level);
}

static u64 used_pages(void)
{
	struct pool_stats s;

	pool_stats(&s);
	return s.used_pages;
}

static void assert_all_freed(void)
{
	pgtable_destroy(&stage2);
	assert_int_equal(stage2.tables, 0);
	assert_int_equal(used_pages(), 0);
}

/* ---- the fake's promise, on which the rest stands ---- */

static u64 *leaf_at(u64 ipa)
{
	struct pt_walk w;

	assert_int_equal(pgtable_lookup(&stage2, IPA(ipa), &w), 0);
	return (u64 *)arch_ptr(PA(w.table_pa)) + w.index;
}

#define assert_violation(text)                                                                     \
	do {                                                                                       \
		if (!strstr(fake_violation(), text))                                               \
			fail_msg("\"%s\" does not say \"%s\"", fake_violation(), text);            \
	} while (0)

static u64 page_of_code(u8 byte)
{
	void *page = pool_alloc(1);

	assert_non_null(page);
	memset(page, byte, PAGE_SIZE);
	return arch_pa(page).v;
}

static void the_fake_sees_a_direct_change(void **state)
{
	u64 *leaf;

	(void)state;
	start(true);
	map(GB, PAGE_SIZE);
	leaf = leaf_at(GB);
	assert_string_equal(fake_violation(), "");
	arch_stage2_format()->invalidate(GB,
					 PAGE_SIZE); /* before the break it counts for nothing */
	arch_write_entry(leaf, arch_stage2_format()->make_leaf(2 * GB, 0, PT_READ));
	assert_violation("a valid entry takes the place of another");
}

static void the_fake_sees_a_missing_invalidation(void **state)
{
	static const u64 other[] = {GB + PAGE_SIZE, GB + 2 * MB, 0};
	u64 *leaf;

	(void)state;
	for (u32 i = 0; i <= ARRAY_SIZE(other); i++) {
		fake_reset(2);
		start(true);
		map(GB, 4 * PAGE_SIZE);
		leaf = leaf_at(GB);
		arch_write_entry(leaf, 0);
		/* none, that of another page, at last the right one */
		for (u32 k = 0; k < i && k < ARRAY_SIZE(other); k++)
			arch_stage2_format()->invalidate(other[k], PAGE_SIZE);
		if (i == ARRAY_SIZE(other))
			arch_stage2_format()->invalidate(GB, PAGE_SIZE);
		arch_write_entry(leaf, arch_stage2_format()->make_leaf(2 * GB, 0, PT_READ));
		if (i == ARRAY_SIZE(other))
			assert_string_equal(fake_violation(), "");
		else
			assert_violation("before the former one is invalidated");
	}
}

static void the_fake_sees_plain_stores(void **state)
{
	(void)state;
	start(false);
	map(GB, PAGE_SIZE);
	*leaf_at(GB) = arch_stage2_format()->make_leaf(2 * GB, 0, PT_READ);
	assert_violation("a table was changed and not published");
}

static void the_fake_sees_code_that_is_not_published(void **state)
{
	u64 code = page_of_code(0x90);

	(void)state;
	start(false);
	map(GB, PAGE_SIZE);
	assert_int_equal(set_leaf(&stage2, IPA(GB), PA(code), PT_READ), 0); /* as data */
	assert_string_equal(fake_violation(), "");
	arch_publish_code(arch_ptr(PA(code)), PAGE_SIZE);
	assert_int_equal(set_leaf(&stage2, IPA(GB), PA(code), PT_READ | PT_EXEC), 0);
	assert_string_equal(fake_violation(), "");
	*(u8 *)arch_ptr(PA(code)) = 0xcc;
	assert_violation("code was changed and not published");

	setup(state);
	code = page_of_code(0x90);
	start(false);
	map(GB, PAGE_SIZE);
	assert_int_equal(set_leaf(&stage2, IPA(GB), PA(code), PT_READ | PT_EXEC), 0);
	assert_violation("a leaf leads to code that is not published");
}

/* ---- publication and break before make ---- */

static void a_table_is_published_before_it_is_linked(void **state)
{
	(void)state;
	start(false);
	map(GB, PAGE_SIZE);
	assert_string_equal(fake_events(),
			    "publish-table link publish-table link publish-table link make");
	map(4 * GB, GB);
	assert_string_equal(fake_events(), "make");
	assert_int_equal(pgtable_split(&stage2, IPA(4 * GB + 5 * MB), NULL), 0);
	assert_string_equal(fake_events(), "publish-table link publish-table link");
	assert_string_equal(fake_violation(), "");
}

static void a_leaf_changes_in_one_store_or_breaks_first(void **state)
{
	(void)state;
	for (int bbm = 0; bbm < 2; bbm++) {
		fake_reset(2);
		start(bbm);
		map(GB, 2 * PAGE_SIZE);
		fake_events();
		assert_int_equal(set_leaf(&stage2, IPA(GB), PA(2 * GB), PT_READ), 0);
		assert_string_equal(fake_events(), bbm ? "break invalidate make" : "change");
		/* again: nothing is broken that is right */
		assert_int_equal(set_leaf(&stage2, IPA(GB), PA(2 * GB), PT_READ), 0);
		assert_string_equal(fake_events(), "change");
		assert_int_equal(set_leaf(&stage2, IPA(GB), PA(0), 0), 0);
		assert_int_equal(set_leaf(&stage2, IPA(GB), PA(GB), PT_READ), 0);
		assert_maps(GB, GB, 0);
		assert_string_equal(fake_violation(), "");
	}
}

/* A CPU made the leaf invalid and died; another one repeats the whole change. */
static void a_leaf_that_somebody_broke_is_invalidated(void **state)
{
	(void)state;
	start(true);
	map(GB, PAGE_SIZE);
	arch_write_entry(leaf_at(GB), 0);
	assert_int_equal(set_leaf(&stage2, IPA(GB), PA(2 * GB), PT_READ), 0);
	assert_string_equal(fake_violation(), "");
}

/* ---- splitting ---- */

static void a_live_split_needs_no_break(void **state)
{
	(void)state;
	start(true); /* as arm64 with FEAT_BBM level 2 */
	map(0, 2 * GB);
	fake_events();
	assert_int_equal(stage2_split(IPA(GB + 3 * MB)), 0);
	assert_string_equal(fake_events(), "publish-table link publish-table link");
	assert_maps(GB + 3 * MB, GB + 3 * MB, 0);
	assert_string_equal(fake_violation(), "");
}

static void a_paused_split_breaks_in_the_pause(void **state)
{
	struct pause_stats before, after;

	(void)state;
	for (int bbm = 0; bbm < 2; bbm++) {
		fake_reset(2);
		fake_stage2_format()->split = PT_SPLIT_PAUSED;
		start(bbm);
		map(0, 2 * GB);
		fake_events();
		pause_stats(&before);
		assert_int_equal(stage2_split(IPA(GB + 3 * MB)), 0);
		pause_stats(&after);
		assert_string_equal(fake_events(), bbm ? "break invalidate publish-table link "
							 "break invalidate publish-table link"
						       : "publish-table link publish-table link");
		assert_int_equal(after.count, before.count + 2); /* 1 GiB, then 2 MiB */
		assert_int_equal(stage2_split(IPA(GB + 3 * MB + PAGE_SIZE)), 0);
		pause_stats(&before);
		assert_int_equal(after.count, before.count);
		for (u64 at = 0; at < 2 * MB; at += PAGE_SIZE)
			assert_maps(GB + 2 * MB + at, GB + 2 * MB + at, 0);
		assert_string_equal(fake_violation(), "");
	}
}

static void without_its_pause_a_block_is_not_split(void **state)
{
	u64 tables;

	(void)state;
	fake_stage2_format()->split = PT_SPLIT_PAUSED;
	start(true);
	map(0, 2 * GB);
	tables = stage2.tables;
	cpus[1].state = CPU_GUEST; /* and never comes */
	assert_int_equal(stage2_split(IPA(GB)), -EAGAIN);
	cpus[1].state = CPU_PARKED;
	assert_maps(GB, GB, 2);
	assert_int_equal(stage2.tables, tables);
	assert_int_equal(used_pages(), tables);
	assert_string_equal(fake_violation(), "");
}

/* The pause's initiator vanishes in the middle, and others carry the change out, more than once. */
static int run_thrice(void (*change)(void *arg), void *arg)
{
	struct pause pause;

	assert_int_equal(pause_begin(&pause, 1000000), 0);
	change(arg);
	change(arg);
	change(arg);
	pause_end(&pause);
	return 0;
}

static void a_split_may_be_carried_out_again(void **state)
{
	(void)state;
	fake_stage2_format()->split = PT_SPLIT_PAUSED;
	start(true);
	map(0, 2 * GB);
	fake_events();
	assert_int_equal(pgtable_split(&stage2, IPA(GB), run_thrice), 0);
	assert_string_equal(
		fake_events(),
		"break invalidate publish-table link break invalidate publish-table link");
	assert_maps(GB + PAGE_SIZE, GB + PAGE_SIZE, 0);
	assert_string_equal(fake_violation(), "");
}

/* ---- geometry ---- */

static void pages_of_16_and_64_kib(void **state)
{
	static const struct {
		u32 page_shift, top_level, input_bits;
		u64 block; /* of level 1 */
	} of[] = {
		{12, 3, 48, 2 * MB},   {14, 2, 47, 32 * MB},
		{14, 3, 48, 32 * MB}, /* a root of two entries */
		{16, 2, 48, 512 * MB}, {16, 2, 42 + 1, 512 * MB},
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(of); i++) {
		u64 page = 1ull << of[i].page_shift, base = 3 * of[i].block;

		fake_reset(2);
		assert_non_null(pool_alloc(1)); /* so that nothing is aligned by itself */
		fake_stage2_format()->page_shift = of[i].page_shift;
		fake_stage2_format()->top_level = of[i].top_level;
		fake_stage2_format()->input_bits = of[i].input_bits;
		fake_stage2_format()->max_leaf_level = 1;
		start(true);
		assert_int_equal(pgtable_map(&stage2, IPA(base), PA(base), page / 2, RWX), -EINVAL);
		assert_int_equal(
			pgtable_map(&stage2, IPA(1ull << of[i].input_bits), PA(0), page, RWX),
			-ERANGE);
		map(base - page, page + 2 * of[i].block);
		assert_maps(base - 1, base - 1, 0);
		assert_maps(base + 1, base + 1, 1);
		assert_maps(base + of[i].block, base + of[i].block, 1);
		assert_int_equal(pgtable_split(&stage2, IPA(base + 5 * page), NULL), 0);
		for (u64 at = 0; at < of[i].block; at += page)
			assert_maps(base + at + 7, base + at + 7, 0);
		assert_int_equal(set_leaf(&stage2, IPA(base + 5 * page), PA(3 * page), PT_READ), 0);
		assert_maps(base + 6 * page - 1, 4 * page - 1, 0);
		assert_maps(base + 6 * page, base + 6 * page, 0);
		assert_string_equal(fake_violation(), "");
		pgtable_destroy(&stage2);
		assert_int_equal(stage2.tables, 0);
		assert_int_equal(used_pages(), 1);
	}
}

/* The root is so many tables in a row, and its entries are found by more bits of the address. */
static void roots_of_2_to_16_tables(void **state)
{
	(void)state;
	for (u32 tables = 2; tables <= 16; tables *= 2) {
		u64 top = tables * 512 * GB;

		fake_reset(2);
		assert_non_null(pool_alloc(1));
		fake_stage2_format()->top_level = 2;
		fake_stage2_format()->input_bits = 39;
		for (u32 n = tables; n > 1; n /= 2)
			fake_stage2_format()->input_bits++;
		start(true);
		assert_int_equal(stage2.tables, tables);
		assert_int_equal(stage2.root.v % (tables * PAGE_SIZE), 0);
		assert_int_equal(pgtable_map(&stage2, IPA(top), PA(0), GB, RWX), -ERANGE);
		for (u32 i = 0; i < tables; i++)
			assert_int_equal(
				pgtable_map(&stage2, IPA(i * 512 * GB + GB), PA(i * GB), GB, RWX),
				0);
		for (u32 i = 0; i < tables; i++) {
			assert_maps(i * 512 * GB + GB + 5, i * GB + 5, 2);
			assert_int_equal(pgtable_split(&stage2, IPA(i * 512 * GB + GB), NULL), 0);
			assert_maps(i * 512 * GB + GB + 5, i * GB + 5, 0);
		}
		assert_string_equal(fake_violation(), "");
		pgtable_destroy(&stage2);
		assert_int_equal(stage2.tables, 0);
		assert_int_equal(used_pages(), 1);
	}
	fake_reset(2);
	fake_stage2_format()->top_level = 2;
	fake_stage2_format()->input_bits = 39 + 5;
	assert_int_equal(pgtable_init(&stage2, arch_stage2_format()), -EINVAL);
	assert_int_equal(used_pages(), 0);
}

/* ---- memory types and rights ---- */

/* Memory, but for [3 MiB, 5 MiB). */
static u32 type_of(u64 pa, u64 *end)
{
	*end = pa < 3 * MB ? 3 * MB : pa < 5 * MB ? 5 * MB : UINT64_MAX;
	return pa >= 3 * MB && pa < 5 * MB ? PT_DEVICE : 0;
}

static void assert_attrs(u64 ipa, u32 level, u32 attrs)
{
	struct pt_walk w;

	assert_int_equal(pgtable_lookup(&stage2, IPA(ipa), &w), 0);
	assert_int_equal(w.level, level);
	assert_int_equal(w.attrs, attrs);
}

static void leaves_have_the_type_of_their_memory(void **state)
{
	struct idmap m = {0};

	(void)state;
	fake_stage2_format()->memory_type = type_of;
	start(true);
	assert_int_equal(idmap_add(&m, 4 * MB, PAGE_SIZE, 4 * MB, PT_READ, false), 0);
	assert_int_equal(idmap_add(&m, 6 * MB, PAGE_SIZE, 7 * MB, PT_READ, true), 0);
	assert_int_equal(idmap_build(&m, &stage2, 16 * MB, RWX), 0);
	assert_attrs(0, 1, RWX);
	assert_attrs(3 * MB - 1, 0, RWX);
	assert_attrs(3 * MB, 0, RWX | PT_DEVICE);
	assert_attrs(4 * MB, 0, PT_READ | PT_DEVICE);
	assert_attrs(4 * MB + PAGE_SIZE, 0, RWX | PT_DEVICE);
	assert_attrs(5 * MB - 1, 0, RWX | PT_DEVICE);
	assert_attrs(5 * MB, 0, RWX);
	assert_attrs(6 * MB, 0, PT_READ); /* a page of the monitor's */
	assert_attrs(8 * MB, 1, RWX);
	/* and keep it */
	assert_int_equal(set_leaf(&stage2, IPA(4 * MB), PA(4 * MB), PT_READ | PT_DEVICE), 0);
	assert_attrs(4 * MB, 0, PT_READ | PT_DEVICE);
	assert_string_equal(fake_violation(), "");
	assert_all_freed();
}

/* A border in the middle of what was one block, and the types on its two sides. */
static u64 device_from, device_to;

static u32 changed_type(u64 pa, u64 *end)
{
	bool in = pa >= device_from && pa < device_to;

	*end = in ? device_to : pa < device_from ? device_from : UINT64_MAX;
	return in ? PT_DEVICE : 0;
}

/* In one pause, after the splits, which may need pauses of their own; executable leaves only. */
static void leaves_follow_a_change_of_types(void **state)
{
	struct pause_stats before, after;
	struct idmap m = {0};

	(void)state;
	for (u32 paused = 0; paused < 2; paused++) {
		fake_reset(2);
		fake_stage2_format()->memory_type = changed_type;
		fake_stage2_format()->split = paused ? PT_SPLIT_PAUSED : PT_SPLIT_LIVE;
		device_from = device_to = 0;
		start(true);
		m.count = 0;
		assert_int_equal(
			idmap_add(&m, 5 * MB, PAGE_SIZE, 5 * MB, PT_READ | PT_DEVICE, false), 0);
		assert_int_equal(idmap_add(&m, 12 * MB, PAGE_SIZE, 11 * MB, PT_READ, true), 0);
		assert_int_equal(idmap_build(&m, &stage2, 4 * GB, RWX), 0);
		pause_stats(&before);
		assert_int_equal(stage2_retype(0, 4 * GB), 0);
		pause_stats(&after);
		assert_int_equal(after.count, before.count);
		assert_attrs(7 * MB, 1, RWX);

		device_from = 7 * MB + PAGE_SIZE;
		device_to = 2 * GB + 2 * MB;
		assert_int_equal(stage2_retype(device_from, device_to), 0);
		pause_stats(&after);
		/* a block of 2 MiB, and one of 1 GiB into two sizes; and the types */
		assert_int_equal(after.count - before.count, paused ? 4 : 1);
		assert_attrs(5 * MB, 0, PT_READ | PT_DEVICE);
		assert_attrs(7 * MB, 0, RWX);
		assert_attrs(7 * MB + PAGE_SIZE, 0, RWX | PT_DEVICE);
		assert_attrs(8 * MB, 1, RWX | PT_DEVICE);
		assert_attrs(12 * MB, 0, PT_READ); /* the monitor's page, in memory */
		assert_attrs(GB, 2, RWX | PT_DEVICE);
		assert_attrs(2 * GB, 1, RWX | PT_DEVICE);
		assert_attrs(2 * GB + 2 * MB, 0, RWX);
		assert_attrs(2 * GB + 4 * MB, 1, RWX);
		assert_attrs(3 * GB, 2, RWX);

		device_to = device_from;
		assert_int_equal(stage2_retype(7 * MB, 3 * GB), 0);
		assert_attrs(7 * MB + PAGE_SIZE, 0, RWX);
		assert_attrs(GB, 2, RWX);
		assert_attrs(5 * MB, 0, PT_READ | PT_DEVICE);
		assert_string_equal(fake_violation(), "");
		assert_all_freed();
	}
}

/* Splits are for ever: a guest that moves a border again and again has enough of them. */
static void changes_of_types_have_an_end(void **state)
{
	u64 tables;
	u32 n = 0;

	(void)state;
	fake_stage2_format()->memory_type = changed_type;
	start(true);
	map(0, 4 * GB);
	device_from = device_to = 0;
	tables = stage2.tables;
	do {
		device_from = (2 * ++n + 1) * 2 * MB + PAGE_SIZE;
		device_to = device_from + MB;
	} while (!stage2_retype(0, 4 * GB) && n < 10000);
	assert_true(n > 100 && n < 1000);
	assert_true(stage2.tables - tables < 600);
	assert_int_equal(stage2_retype(0, 4 * GB), -ENOSPC);
	assert_all_freed();
}

static void an_identity_map_of_larger_pages(void **state)
{
	struct idmap m = {.page_shift = 16};
	struct pt_walk w;

	(void)state;
	fake_stage2_format()->page_shift = 16;
	fake_stage2_format()->top_level = 2;
	start(true);
	assert_int_equal(idmap_add(&m, MB + PAGE_SIZE, 1, 2 * MB, PT_READ, true), 0);
	assert_int_equal(idmap_build(&m, &stage2, 1024 * MB, RWX), 0);
	assert_int_equal(pgtable_lookup(&stage2, IPA(MB + 0xffff), &w), 0);
	assert_int_equal(w.pa, 2 * MB + 0xffff);
	assert_attrs(MB - 1, 0, RWX);
	assert_attrs(MB, 0, PT_READ);
	assert_attrs(MB + 0x10000, 0, RWX);
	assert_attrs(512 * MB, 1, RWX);
}

static void execute_only_where_the_format_has_it(void **state)
{
	(void)state;
	for (int has = 0; has < 2; has++) {
		fake_reset(2);
		fake_stage2_format()->exec_only = has;
		start(true);
		map(GB, PAGE_SIZE);
		fake_events();
		if (has) {
			assert_int_equal(set_leaf(&stage2, IPA(GB), PA(GB), PT_EXEC), 0);
			assert_string_equal(fake_events(), "break invalidate make");
			assert_attrs(GB, 0, PT_EXEC);
		}
		assert_int_equal(pgtable_map(&stage2, IPA(2 * GB), PA(GB), 2 * MB, PT_EXEC),
				 has ? 0 : -EOPNOTSUPP);
		/* no format has these */
		assert_int_equal(pgtable_map(&stage2, IPA(3 * GB), PA(GB), 2 * MB, PT_WRITE),
				 -EOPNOTSUPP);
		assert_int_equal(
			pgtable_map(&stage2, IPA(3 * GB), PA(GB), 2 * MB, PT_WRITE | PT_EXEC),
			-EOPNOTSUPP);
		assert_string_equal(fake_violation(), "");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_fake_sees_a_direct_change, setup),
		cmocka_unit_test_setup(the_fake_sees_a_missing_invalidation, setup),
		cmocka_unit_test_setup(the_fake_sees_plain_stores, setup),
		cmocka_unit_test_setup(the_fake_sees_code_that_is_not_published, setup),
		cmocka_unit_test_setup(a_table_is_published_before_it_is_linked, setup),
		cmocka_unit_test_setup(a_leaf_changes_in_one_store_or_breaks_first, setup),
		cmocka_unit_test_setup(a_leaf_that_somebody_broke_is_invalidated, setup),
		cmocka_unit_test_setup(a_live_split_needs_no_break, setup),
		cmocka_unit_test_setup(a_paused_split_breaks_in_the_pause, setup),
		cmocka_unit_test_setup(without_its_pause_a_block_is_not_split, setup),
		cmocka_unit_test_setup(a_split_may_be_carried_out_again, setup),
		cmocka_unit_test_setup(pages_of_16_and_64_kib, setup),
		cmocka_unit_test_setup(roots_of_2_to_16_tables, setup),
		cmocka_unit_test_setup(leaves_have_the_type_of_their_memory, setup),
		cmocka_unit_test_setup(leaves_follow_a_change_of_types, setup),
		cmocka_unit_test_setup(an_identity_map_of_larger_pages, setup),
		cmocka_unit_test_setup(execute_only_where_the_format_has_it, setup),
		cmocka_unit_test_setup(changes_of_types_have_an_end, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
