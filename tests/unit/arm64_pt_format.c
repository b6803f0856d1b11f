/* SPDX-License-Identifier: BSD-2-Clause */
/* Translation tables of arm64: bits by hand from the manual (DDI 0487, D8.3), tables by the walker.
 */
#include "../../arch/arm64/pt_format.h"
#include "arch/memory.h"
#include "fake.h"
#include "leaf.h"
#include "lib/errno.h"
#include "stage2/pgtable.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define GIB (1ull << 30)

static u32 invalidated;

static void count_invalidations(u64 addr, u64 size)
{
	(void)addr, (void)size;
	invalidated++;
}

static int setup(void **state)
{
	(void)state;
	fake_reset(1);
	invalidated = 0;
	return 0;
}

/* Start level and tables in a row by the size of the input (D8.2.2, and KVM's kvm_stage2 for it).
 */
static void roots_are_as_low_as_they_can_be(void **state)
{
	static const struct {
		u32 bits, top, entries;
		u64 vtcr; /* T0SZ, SL0 */
	} want[] = {
		{32, 1, 2048, 32 | 0 << 6}, {36, 2, 64, 28 | 1 << 6}, {40, 2, 1024, 24 | 1 << 6},
		{42, 2, 4096, 22 | 1 << 6}, {44, 3, 32, 20 | 2 << 6}, {48, 3, 512, 16 | 2 << 6},
	};
	struct pt_format f;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(want); i++) {
		stage2_format(&f, want[i].bits, count_invalidations);
		assert_int_equal(f.top_level, want[i].top);
		assert_int_equal(pt_entries(&f, f.top_level), want[i].entries);
		assert_int_equal(stage2_vtcr(&f, 2) & 0xff, want[i].vtcr);
		/* write-back walks, inner shareable, PS, RES1 */
		assert_true(stage2_vtcr(&f, 2) >> 8 == (0x35ull | 2 << 8 | 1 << 23));
	}
}

static void leaves_are_those_of_the_manual(void **state)
{
	struct pt_format f;

	(void)state;
	stage2_format(&f, 40, count_invalidations);
	/* AF, inner shareable, S2AP read and write, MemAttr write-back, page */
	assert_true(f.make_leaf(0x40001000, 0, PT_READ | PT_WRITE | PT_EXEC) == 0x400017ff);
	/* a block: bit 1 clear */
	assert_true(f.make_leaf(0x40000000, 2, PT_READ | PT_WRITE | PT_EXEC) == 0x400007fd);
	/* read-only, XN */
	assert_true(f.make_leaf(0x1000, 0, PT_READ) == (0x177full | 2ull << 53));
	assert_true(f.make_leaf(0x1000, 0, PT_EXEC) == 0x173full);
	/* Device-nGnRE */
	assert_true(f.make_leaf(0x1000, 0, PT_READ | PT_DEVICE) == (0x1747ull | 2ull << 53));
	assert_true(f.make_leaf(0x1000, 0, 0) == 0);
	monitor_format(&f, NULL);
	/* AP[1] is RES1 at EL2; index 0 and 1 of MAIR_EL2 */
	assert_true(f.make_leaf(0x1000, 0, PT_READ | PT_WRITE | PT_EXEC) == 0x1743);
	assert_true(f.make_leaf(0x1000, 0, PT_READ | PT_DEVICE) == (0x17c7ull | 1ull << 54));
	assert_true(f.make_table(0x1000, 1) == 0x1003);
}

static void attributes_survive_a_leaf(void **state)
{
	static const u32 attrs[] = {
		PT_READ, PT_READ | PT_WRITE,	       PT_READ | PT_EXEC,
		PT_EXEC, PT_READ | PT_WRITE | PT_EXEC, PT_READ | PT_WRITE | PT_DEVICE};
	struct pt_format f[2];

	(void)state;
	stage2_format(&f[0], 40, count_invalidations);
	monitor_format(&f[1], NULL);
	for (u32 i = 0; i < 2 * ARRAY_SIZE(attrs); i++)
		for (u32 level = 0; level < 3; level++) {
			const struct pt_format *g = &f[i % 2];
			u32 want = attrs[i / 2] | (g->exec_only ? 0 : PT_READ);
			u64 entry = g->make_leaf(0x7fc0000000, level, attrs[i / 2]);

			assert_true(g->present(entry, level) && g->leaf(entry, level));
			assert_true(g->addr(entry, level) == 0x7fc0000000);
			assert_int_equal(g->attrs(entry, level), want);
		}
}

static u64 lookup(const struct pgtable *t, u64 ipa)
{
	struct pt_walk w;

	return pgtable_lookup(t, IPA(ipa), &w) ? ~0ull : w.pa;
}

/* Two tables in a row: the second one's half is reached, and blocks there can be split. */
static void a_root_of_two_tables(void **state)
{
	struct pt_format f;
	struct pgtable t;
	struct pt_walk w;

	(void)state;
	stage2_format(&f, 40, count_invalidations);
	assert_int_equal(pgtable_init(&t, &f), 0);
	assert_int_equal(t.root.v % (2 * PAGE_SIZE), 0);
	assert_int_equal(pgtable_map(&t, IPA(0), PA(0), 1024 * GIB, PT_READ | PT_WRITE | PT_EXEC),
			 0);
	assert_int_equal(t.tables, 2);
	assert_true(lookup(&t, 600 * GIB + 0x1234) == 600 * GIB + 0x1234);
	assert_int_equal(f.split, PT_SPLIT_PAUSED);
	assert_int_equal(pgtable_split(&t, IPA(600 * GIB), NULL), 0);
	assert_int_equal(invalidated, 2);
	assert_int_equal(set_leaf(&t, IPA(600 * GIB), PA(0x5000), PT_EXEC), 0);
	assert_int_equal(invalidated, 3);
	assert_true(lookup(&t, 600 * GIB + 0x10) == 0x5010);
	assert_true(lookup(&t, 600 * GIB + PAGE_SIZE) == 600 * GIB + PAGE_SIZE);
	assert_int_equal(pgtable_lookup(&t, IPA(600 * GIB), &w), 0);
	assert_int_equal(w.attrs, PT_EXEC);
	pgtable_destroy(&t);
}

/* What is taken away is invalid for processors, and what it was for the walker. */
static void taken_away_and_given_back(void **state)
{
	struct pt_format f;
	struct pgtable t;
	u64 *root, before[1024];

	(void)state;
	stage2_format(&f, 40, count_invalidations);
	assert_int_equal(pgtable_init(&t, &f), 0);
	assert_int_equal(pgtable_map(&t, IPA(0), PA(0), 5 * GIB, PT_READ | PT_EXEC), 0);
	assert_int_equal(pgtable_split(&t, IPA(4 * GIB), NULL), 0);
	root = arch_ptr(t.root);
	for (u32 i = 0; i < ARRAY_SIZE(before); i++) {
		before[i] = root[i];
		root[i] = stage2_revoke(root[i]);
		assert_int_equal(root[i] & 1, 0);
		assert_true(stage2_revoke(root[i]) == root[i]);
	}
	assert_true(lookup(&t, 3 * GIB + 8) == 3 * GIB + 8);
	assert_true(lookup(&t, 4 * GIB + 8) == 4 * GIB + 8);
	assert_true(lookup(&t, 5 * GIB) == ~0ull);
	assert_int_equal(set_leaf(&t, IPA(4 * GIB), PA(0x6000), PT_READ), 0);
	assert_true(lookup(&t, 4 * GIB + 8) == 0x6008);
	for (u32 i = 0; i < ARRAY_SIZE(before); i++) {
		root[i] = stage2_restore(root[i]);
		assert_true(root[i] == before[i]);
	}
	pgtable_destroy(&t);
}

/* A split in a pause: the block of the root is not in force, and the table is. */
static void a_split_of_what_is_taken_away(void **state)
{
	struct pt_format f;
	struct pgtable t;
	u64 *root;

	(void)state;
	stage2_format(&f, 40, count_invalidations);
	assert_int_equal(pgtable_init(&t, &f), 0);
	assert_int_equal(pgtable_map(&t, IPA(0), PA(0), GIB, PT_READ | PT_EXEC), 0);
	root = arch_ptr(t.root);
	root[0] = stage2_revoke(root[0]);
	assert_int_equal(pgtable_split(&t, IPA(0x200000), NULL), 0);
	assert_true(stage2_restore(root[0]) == root[0]);
	assert_true(lookup(&t, 0x200008) == 0x200008);
	assert_true(lookup(&t, 0x3fffffff) == 0x3fffffff);
	pgtable_destroy(&t);
}

static void guests_have_three_granules(void **state)
{
	static const struct {
		u32 bits, shift, top;
	} want[] = {{48, 12, 3}, {39, 12, 2}, {36, 14, 1}, {47, 14, 2},
		    {48, 14, 3}, {42, 16, 1}, {48, 16, 2}, {25, 12, 1}};
	struct pt_format f;

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(want); i++) {
		assert_true(guest_format(&f, want[i].bits, want[i].shift, false));
		assert_int_equal(f.top_level, want[i].top);
		assert_true(pt_entries(&f, f.top_level) <= 1u << (want[i].shift - 3));
	}
	/* 2 MiB with the contiguous bit, nT and PXN */
	assert_true(f.addr(0x0030000040210f01, 1) == 0x40200000);
	assert_int_equal(f.attrs(0x0030000040200f81, 1), PT_READ);
	assert_false(guest_format(&f, 52, 12, false));
	assert_false(guest_format(&f, 48, 0, false));
	assert_non_null(guest_format_of_levels(3));
	assert_non_null(guest_format_of_levels(4));
	assert_null(guest_format_of_levels(2));
	assert_null(guest_format_of_levels(6));
	assert_true(guest_format_of_levels(4)->in_range(0xffff800008000000));
	assert_false(guest_format_of_levels(4)->in_range(0xfffe800008000000));
}

/* Addresses of 52 bits, virtual ones and physical ones (FEAT_LPA2). */
static void guests_have_52_bits(void **state)
{
	const struct pt_format *levels = guest_format_of_levels(5);
	struct pt_format f;

	(void)state;
	assert_non_null(levels);
	assert_int_equal(pt_entries(levels, levels->top_level), 16);
	assert_true(levels->in_range(0xfff0000008000000));
	assert_false(levels->in_range(0xffe0000008000000));
	assert_true(guest_format(&f, 52, 12, true));
	assert_int_equal(f.top_level, 4);
	assert_true(guest_format(&f, 48, 12, true));
	assert_int_equal(f.top_level, 3);
	assert_false(guest_format(&f, 52, 16, true));
	assert_false(guest_format(&f, 53, 12, true));
	/* a page: bits 49:12, and 51:50 in 9:8, where there was shareability */
	assert_true(f.addr(0x0063ffff40001743, 0) == 0x000fffff40001000);
	assert_true(f.addr(0x0060000040001443, 0) == 0x40001000);
	/* a table, and a block of 512 GiB with nT */
	assert_true(f.addr(0x40002203, 4) == 0x0008000040002000);
	assert_true(f.present(0x0060008000010741, 3) && f.leaf(0x0060008000010741, 3));
	assert_true(f.addr(0x0060008000010441, 3) == 0x8000000000);
	assert_false(f.present(0x0060008000000741, 4));
}

static void tables_of_el2_for_el1(void **state)
{
	(void)state;
	/* data, XN: EL0 has nothing there, and neither mode executes it */
	assert_true(stage1_entry_for_el1(0x743ull | 1ull << 54, 0) == (0x703ull | 3ull << 53));
	/* code: at EL1 it can be executed, for EL0 cannot write it */
	assert_true(stage1_entry_for_el1(0x743ull, 0) == 0x703ull);
	assert_true(stage1_entry_for_el1(0x1003ull | 1ull << 60, 2) == (0x1003ull | 3ull << 59));
}

static void tcr_of_el2_for_el1(void **state)
{
	(void)state;
	/* 48 bits, write-back, inner shareable, 4 KiB, PS of 44 bits */
	assert_true(stage1_tcr_is_known(0x80843510));
	assert_true(stage1_tcr_for_el1(0x80843510) ==
		    (0x3510 | 4ull << 32 | 2ull << 30 | 1 << 23 | 16 << 16));
	/* TBI with TBID, HA and HD, HPD */
	assert_true(stage1_tcr_for_el1(0xa1f63510) ==
		    (0x3510 | 6ull << 32 | 2ull << 30 | 1 << 23 | 16 << 16 | 1ull << 37 |
		     3ull << 39 | 1ull << 41 | 1ull << 51));
	/* 64 KiB, 16 KiB, none; 52 bits, with FEAT_LPA2 or without; 24 bits */
	assert_true(stage1_tcr_is_known(0x80847510));
	assert_true(stage1_tcr_is_known(0x8084b510));
	assert_false(stage1_tcr_is_known(0x8084f510));
	assert_false(stage1_tcr_is_known(0x18084350c));
	assert_false(stage1_tcr_is_known(0x8084750c));
	assert_false(stage1_tcr_is_known(0x80843528));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(roots_are_as_low_as_they_can_be, setup),
		cmocka_unit_test_setup(leaves_are_those_of_the_manual, setup),
		cmocka_unit_test_setup(attributes_survive_a_leaf, setup),
		cmocka_unit_test_setup(a_root_of_two_tables, setup),
		cmocka_unit_test_setup(taken_away_and_given_back, setup),
		cmocka_unit_test_setup(a_split_of_what_is_taken_away, setup),
		cmocka_unit_test_setup(guests_have_three_granules, setup),
		cmocka_unit_test_setup(guests_have_52_bits, setup),
		cmocka_unit_test_setup(tables_of_el2_for_el1, setup),
		cmocka_unit_test_setup(tcr_of_el2_for_el1, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
