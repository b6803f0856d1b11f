/* SPDX-License-Identifier: BSD-2-Clause */
/* Stage-2 tables: mapping, splitting under a running walker, leaves, memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include "fake.h"
#include "leaf.h"
#include "arch/barrier.h"
#include "core/pool.h"
#include "lib/errno.h"
#include "stage2/pgtable.h"

#define RWX (PT_READ | PT_WRITE | PT_EXEC)
#define MB  (1ull << 20)
#define GB  (1ull << 30)

static u64 used_pages(void)
{
	struct pool_stats s;

	pool_stats(&s);
	return s.used_pages;
}

static int setup(void **state)
{
	(void)state;
	fake_reset(0);
	return pgtable_init(&stage2, arch_stage2_format());
}

static void assert_maps(u64 ipa, u64 pa, u32 level, u32 attrs)
{
	struct pt_walk w;

	assert_int_equal(pgtable_lookup(&stage2, IPA(ipa), &w), 0);
	assert_int_equal(w.pa, pa);
	assert_int_equal(w.level, level);
	assert_int_equal(w.attrs, attrs);
}

static void assert_unmapped(u64 ipa)
{
	struct pt_walk w;

	assert_int_equal(pgtable_lookup(&stage2, IPA(ipa), &w), -ENOENT);
}

static void maps_with_the_largest_leaves(void **state)
{
	(void)state;
	/* From 4 KiB below 2 MiB to 8 KiB above 3 GiB. */
	assert_int_equal(pgtable_map(&stage2, IPA(2 * MB - 4096), PA(2 * MB - 4096),
				     3 * GB + 8192 - (2 * MB - 4096), RWX),
			 0);
	assert_unmapped(2 * MB - 8192);
	assert_maps(2 * MB - 4096, 2 * MB - 4096, 0, RWX);
	assert_maps(2 * MB + 123, 2 * MB + 123, 1, RWX);
	assert_maps(GB - 1, GB - 1, 1, RWX);
	assert_maps(GB + 77, GB + 77, 2, RWX);
	assert_maps(3 * GB - 1, 3 * GB - 1, 2, RWX);
	assert_maps(3 * GB + 8191, 3 * GB + 8191, 0, RWX);
	assert_unmapped(3 * GB + 8192);
	/* root; 1 of 1 GiB entries; of the first GiB: 2 MiB entries and the first 2 MiB's pages; of
	 * the fourth GiB the same */
	assert_int_equal(stage2.tables, 6);
	assert_int_equal(used_pages(), stage2.tables);

	/* Large leaves only where both addresses are aligned. */
	assert_int_equal(pgtable_map(&stage2, IPA(8 * GB), PA(2 * MB), 4 * MB, PT_READ), 0);
	assert_maps(8 * GB + 2 * MB, 4 * MB, 1, PT_READ);
	assert_int_equal(pgtable_map(&stage2, IPA(9 * GB), PA(4096), 2 * MB, PT_READ), 0);
	assert_maps(9 * GB + 5 * 4096, 6 * 4096, 0, PT_READ);
}

static void refuses_bad_ranges(void **state)
{
	u64 tables = stage2.tables;

	(void)state;
	assert_int_equal(pgtable_map(&stage2, IPA(1), PA(0), 4096, RWX), -EINVAL);
	assert_int_equal(pgtable_map(&stage2, IPA(0), PA(1), 4096, RWX), -EINVAL);
	assert_int_equal(pgtable_map(&stage2, IPA(0), PA(0), 4095, RWX), -EINVAL);
	assert_int_equal(pgtable_map(&stage2, IPA(0), PA(0), 0, RWX), -EINVAL);
	assert_int_equal(pgtable_map(&stage2, IPA(0), PA(0), 4096, 0), -EINVAL);
	assert_int_equal(pgtable_map(&stage2, IPA((1ull << 48) - 4096), PA(0), 8192, RWX), -ERANGE);
	assert_int_equal(pgtable_map(&stage2, IPA(-4096ull), PA(0), 8192, RWX), -ERANGE);
	assert_int_equal(pgtable_map(&stage2, IPA(0), PA(-4096ull), 8192, RWX), -ERANGE);
	assert_int_equal(stage2.tables, tables);

	assert_int_equal(pgtable_map(&stage2, IPA(GB), PA(GB), GB, RWX), 0);
	assert_int_equal(pgtable_map(&stage2, IPA(GB + 4096), PA(0), 4096, RWX), -EEXIST);
	assert_int_equal(pgtable_map(&stage2, IPA(GB - 4096), PA(0), 8192, RWX), -EEXIST);
	assert_maps(GB + 4096, GB + 4096, 2, RWX);
}

static void fills_around_what_is_there(void **state)
{
	(void)state;
	assert_int_equal(pgtable_map(&stage2, IPA(5 * 4096), PA(0), 4096, PT_READ), 0);
	assert_int_equal(pgtable_map(&stage2, IPA(0), PA(0), 5 * 4096, RWX), 0);
	/* 2 MiB would fit, but a table stands there already. */
	assert_int_equal(pgtable_map(&stage2, IPA(6 * 4096), PA(6 * 4096), 4 * MB - 6 * 4096, RWX),
			 0);
	assert_maps(4 * 4096, 4 * 4096, 0, RWX);
	assert_maps(5 * 4096, 0, 0, PT_READ);
	assert_maps(6 * 4096, 6 * 4096, 0, RWX);
	assert_maps(2 * MB, 2 * MB, 1, RWX);
}

static void split_keeps_every_translation(void **state)
{
	u64 pa = 2 * GB;

	(void)state;
	assert_int_equal(pgtable_map(&stage2, IPA(GB), PA(pa), GB, PT_READ | PT_EXEC), 0);
	assert_int_equal(stage2.tables, 2);
	assert_int_equal(pgtable_split(&stage2, IPA(GB + 6 * MB + 4096 + 17), NULL), 0);
	assert_int_equal(stage2.tables, 4);
	for (u64 at = 0; at < GB; at += at / MB == 6 ? 4096 : 2 * MB)
		assert_maps(GB + at, pa + at, at / (2 * MB) == 3 ? 0 : 1, PT_READ | PT_EXEC);
	assert_maps(2 * GB - 1, pa + GB - 1, 1, PT_READ | PT_EXEC);
	assert_unmapped(2 * GB);

	/* Again, and another page of the same table: nothing to do. */
	assert_int_equal(pgtable_split(&stage2, IPA(GB + 6 * MB), NULL), 0);
	assert_int_equal(pgtable_split(&stage2, IPA(GB + 8 * MB - 1), NULL), 0);
	assert_int_equal(stage2.tables, 4);
	assert_int_equal(used_pages(), 4);
	assert_int_equal(pgtable_split(&stage2, IPA(4 * GB), NULL), -ENOENT);
	assert_int_equal(pgtable_split(&stage2, IPA(1ull << 50), NULL), -ENOENT);
}

static void set_leaf_is_one_page_and_idempotent(void **state)
{
	u64 ipa = GB + 2 * MB + 3 * 4096;

	(void)state;
	assert_int_equal(pgtable_map(&stage2, IPA(GB), PA(GB), GB, RWX), 0);
	assert_int_equal(set_leaf(&stage2, IPA(ipa), PA(4096), PT_READ), -ENOENT);
	assert_maps(ipa, ipa, 2, RWX);
	assert_int_equal(pgtable_split(&stage2, IPA(ipa), NULL), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(set_leaf(&stage2, IPA(ipa), PA(4096), PT_READ | PT_EXEC), 0);
		assert_maps(ipa, 4096, 0, PT_READ | PT_EXEC);
	}
	assert_maps(ipa - 4096, ipa - 4096, 0, RWX);
	assert_maps(ipa + 4096, ipa + 4096, 0, RWX);

	/* Taken away and given back. */
	assert_int_equal(set_leaf(&stage2, IPA(ipa), PA(0), 0), 0);
	assert_unmapped(ipa);
	assert_int_equal(pgtable_split(&stage2, IPA(ipa), NULL), -ENOENT);
	assert_int_equal(set_leaf(&stage2, IPA(ipa), PA(ipa), RWX), 0);
	assert_maps(ipa, ipa, 0, RWX);
}

static void gives_all_memory_back(void **state)
{
	(void)state;
	assert_int_equal(pgtable_map(&stage2, IPA(4096), PA(4096), 3 * GB, RWX), 0);
	for (u64 ipa = GB; ipa < GB + 100 * MB; ipa += 7 * MB)
		assert_int_equal(pgtable_split(&stage2, IPA(ipa), NULL), 0);
	assert_int_equal(used_pages(), stage2.tables);
	pgtable_destroy(&stage2);
	assert_int_equal(stage2.tables, 0);
	assert_int_equal(used_pages(), 0);
}

static void without_memory_nothing_changes(void **state)
{
	u64 ipa = GB + 10 * MB;

	(void)state;
	assert_int_equal(pgtable_map(&stage2, IPA(GB), PA(GB), GB, RWX), 0);
	while (pool_alloc(1))
		;
	assert_int_equal(pgtable_split(&stage2, IPA(ipa), NULL), -ENOMEM);
	assert_maps(ipa, ipa, 2, RWX);
	assert_int_equal(pgtable_map(&stage2, IPA(2 * GB + 4096), PA(0), 4096, RWX), -ENOMEM);
	assert_int_equal(stage2.tables, 2);
	assert_int_equal(pgtable_init(&(struct pgtable){0}, arch_stage2_format()), -ENOMEM);
}

/* ---- a guest that walks while we split ---- */

#define SPLIT_SIZE (2 * GB)

static struct {
	bool stop;
	u64 walks, wrong;
} walker;

static void *walk_always(void *arg)
{
	u64 x = 88172645463325252ull;
	struct pt_walk w;

	(void)arg;
	while (!__atomic_load_n(&walker.stop, __ATOMIC_ACQUIRE)) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		u64 ipa = x % SPLIT_SIZE;

		if (pgtable_lookup(&stage2, IPA(ipa), &w) || w.pa != ipa + GB || w.attrs != RWX)
			walker.wrong++;
		__atomic_fetch_add(&walker.walks, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void a_running_guest_sees_no_half_filled_table(void **state)
{
	pthread_t thread;

	(void)state;
	walker.stop = false;
	assert_int_equal(pgtable_map(&stage2, IPA(0), PA(GB), SPLIT_SIZE, RWX), 0);
	assert_int_equal(pthread_create(&thread, NULL, walk_always, NULL), 0);
	while (!__atomic_load_n(&walker.walks, __ATOMIC_RELAXED))
		arch_relax();
	for (u64 ipa = 0; ipa < SPLIT_SIZE; ipa += 2 * MB)
		assert_int_equal(pgtable_split(&stage2, IPA(ipa), NULL), 0);
	__atomic_store_n(&walker.stop, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	print_message("%llu walks while %llu tables were split\n", (unsigned long long)walker.walks,
		      (unsigned long long)(SPLIT_SIZE / (2 * MB)));
	assert_int_equal(walker.wrong, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(maps_with_the_largest_leaves, setup),
		cmocka_unit_test_setup(refuses_bad_ranges, setup),
		cmocka_unit_test_setup(fills_around_what_is_there, setup),
		cmocka_unit_test_setup(split_keeps_every_translation, setup),
		cmocka_unit_test_setup(set_leaf_is_one_page_and_idempotent, setup),
		cmocka_unit_test_setup(gives_all_memory_back, setup),
		cmocka_unit_test_setup(without_memory_nothing_changes, setup),
		cmocka_unit_test_setup(a_running_guest_sees_no_half_filled_table, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
