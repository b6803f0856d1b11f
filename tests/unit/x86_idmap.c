/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The identity map with exceptions, built with the real nested-paging format: every address
 * translates correctly, also at the edges of the exceptions, and no leaf below 4 GiB can span
 * memory types.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "core/cpu.h"
#include "arch/pagetable.h"
#include "core/pool.h"
#include "lib/errno.h"
#include "stage2/idmap.h"
#include "../../arch/x86/memory_type.h"
#include "../../arch/x86/svm/svm.h"

static const struct hv_ops ops = {.stage2_format = npt_format};
const struct hv_ops *hv = &ops;

#define POOL_SIZE (16ull << 20)
#define LIMIT	  (1ull << 40)
#define ALL	  (PT_READ | PT_WRITE | PT_EXEC)

static void look(struct pgtable *s, u64 at, u64 pa, u32 attrs)
{
	struct pt_walk w;

	assert_int_equal(pgtable_lookup(s, IPA(at), &w), 0);
	assert_int_equal(w.pa, pa);
	assert_int_equal(w.attrs, attrs);
	if (at < pt_level_size(s->format, 1))
		assert_int_equal(w.level, 0);
	else if (at < 1ull << 32)
		assert_true(w.level <= 1);
}

static void test_map(void **state)
{
	const u64 stand_in = 0x1234000, hidden = 0x37a00000, apic = 0xfee00000;
	struct pgtable s;
	struct idmap m = {0};

	(void)state;
	assert_int_equal(idmap_add(&m, hidden, 64 << 20, stand_in, PT_READ, true), 0);
	assert_int_equal(idmap_add(&m, apic, PAGE_SIZE, apic, PT_READ, false), 0);
	assert_int_equal(idmap_add(&m, 0x9f000, PAGE_SIZE, stand_in, PT_READ, true), 0);
	assert_int_equal(pgtable_init(&s, arch_stage2_format()), 0);
	assert_int_equal(idmap_build(&m, &s, LIMIT, ALL), 0);

	look(&s, 0, 0, ALL);
	look(&s, 0x9efff, 0x9efff, ALL);
	look(&s, 0x9f123, stand_in + 0x123, PT_READ);
	look(&s, 0xa0000, 0xa0000, ALL);
	look(&s, hidden - 1, hidden - 1, ALL);
	for (u64 at = hidden; at < hidden + (64 << 20); at += 37 * PAGE_SIZE)
		look(&s, at + 8, stand_in + 8, PT_READ);
	look(&s, hidden + (64 << 20), hidden + (64 << 20), ALL);
	look(&s, apic - 8, apic - 8, ALL);
	look(&s, apic + 0x300, apic + 0x300, PT_READ);
	look(&s, apic + PAGE_SIZE, apic + PAGE_SIZE, ALL);
	look(&s, 5ull << 32, 5ull << 32, ALL);
	look(&s, LIMIT - 1, LIMIT - 1, ALL);
	pgtable_destroy(&s);
}

/* The top of memory, somewhere in a GiB: the leaves around it end there. */
static void test_borders(void **state)
{
	const u64 top = (5ull << 32) + 0x12200000, hole = (6ull << 32) + 0x40000000;
	struct mtrr_state types = {.on = true, .default_type = TYPE_WB, .count = 1};
	struct pgtable s;
	struct idmap m = {0};

	(void)state;
	npt_init(top);
	types.range[0].base = hole;
	types.range[0].mask = ~0x1fffffull;
	types.range[0].size = 0x200000;
	memory_types_set(&types);
	assert_int_equal(pgtable_init(&s, arch_stage2_format()), 0);
	assert_int_equal(idmap_build(&m, &s, LIMIT, ALL), 0);
	for (u64 at = 1ull << 32; at < 8ull << 32; at += 0x200000) {
		struct pt_walk w;
		u64 size, start;

		look(&s, at, at, ALL);
		assert_int_equal(pgtable_lookup(&s, IPA(at), &w), 0);
		size = pt_level_size(s.format, w.level);
		start = ALIGN_DOWN(at, size);
		assert_false(start < top && top < start + size);
		assert_false(start < hole && hole < start + size);
		assert_false(start < hole + 0x200000 && hole + 0x200000 < start + size);
	}
	npt_init(0);
	types = (struct mtrr_state){0};
	memory_types_set(&types);
	pgtable_destroy(&s);
}

/* An address with the bit of encryption would lead to the same memory. */
static void test_encryption(void **state)
{
	(void)state;
	assert_true(physical_limit(40, false, 0) == 1ull << 40);
	assert_true(physical_limit(52, false, 51) == 1ull << 48);
	assert_true(physical_limit(48, true, 47) == 1ull << 47);
	assert_true(physical_limit(43, true, 47) == 1ull << 43); /* reduced already */
	assert_true(physical_limit(52, true, 51) == 1ull << 48);
}

static void test_overlaps(void **state)
{
	struct idmap m = {0};

	(void)state;
	assert_int_equal(idmap_add(&m, 0x10000, 0x2000, 0x10000, ALL, false), 0);
	/* the same kind may overlap or touch: small BARs share a page */
	assert_int_equal(idmap_add(&m, 0x11800, 0x1000, 0x11800, ALL, false), 0);
	assert_int_equal(m.count, 1);
	assert_int_equal(m.ranges[0].end, 0x13000);
	assert_int_equal(idmap_add(&m, 0x12000, 0x1000, 0x12000, PT_READ, false), -EEXIST);
	assert_int_equal(idmap_add(&m, 0x12000, 0x1000, 0x5000, ALL, true), -EEXIST);
	assert_int_equal(idmap_add(&m, 0x8000, 0, 0, ALL, true), 0);
	assert_int_equal(m.count, 1);
	assert_int_equal(idmap_add(&m, 0x8000, 1, 0x5000, ALL, true), 0);
	assert_int_equal(m.ranges[0].base, 0x8000);
	assert_int_equal(m.ranges[0].end, 0x9000);
	for (u64 at = 1 << 20; m.count < ARRAY_SIZE(m.ranges); at += 2 * PAGE_SIZE)
		assert_int_equal(idmap_add(&m, at, 1, at, ALL, false), 0);
	assert_int_equal(idmap_add(&m, 1 << 30, 1, 1 << 30, ALL, false), -ENOSPC);
}

static void test_beyond_the_limit(void **state)
{
	struct pgtable s;
	struct idmap m = {0};

	(void)state;
	assert_int_equal(idmap_add(&m, LIMIT, PAGE_SIZE, LIMIT, ALL, false), 0);
	assert_int_equal(pgtable_init(&s, arch_stage2_format()), 0);
	assert_int_equal(idmap_build(&m, &s, LIMIT, ALL), -EINVAL);
	pgtable_destroy(&s);
}

static int start_pool(void **state)
{
	void *p = aligned_alloc(PAGE_SIZE, POOL_SIZE);

	*state = p;
	if (p)
		pool_init(PA((u64)p), POOL_SIZE);
	return p ? 0 : -1;
}

static int end_pool(void **state)
{
	free(*state);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_map),
		cmocka_unit_test(test_borders),
		cmocka_unit_test(test_encryption),
		cmocka_unit_test(test_overlaps),
		cmocka_unit_test(test_beyond_the_limit),
	};

	return cmocka_run_group_tests(tests, start_pool, end_pool);
}
