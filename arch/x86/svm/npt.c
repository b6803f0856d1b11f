/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The format of nested page tables, whose entries are those of the guest's own (AMD APM vol. 2, 5.3
 * and 15.25).
 */
#include "../insn.h"
#include "../memory_type.h"
#include "svm.h"

#define PTE_US (1ull << 2)

#define FN80000001_EDX_PAGE1GB (1u << 26)

/*
 * A leaf must not span memory types (APM vol. 2, 7.7.1 and 7.8): below 4 GiB they may change from
 * one 2 MiB to the next, and in the first 2 MiB, where the fixed MTRRs are, from page to page.
 * Above, they change where the variable MTRRs begin and end, and at the top of memory (TOP_MEM2).
 * The type itself comes from the MTRRs and from the guest's PAT (APM vol. 2, 15.25).
 */
#define MIXED_BELOW (1ull << 32)
#define SMALL_BELOW (2ull << 20)

static u64 top_mem2;

static u32 npt_memory_type(u64 pa, u64 *end)
{
	u64 piece = pa < SMALL_BELOW ? PAGE_SIZE : SMALL_BELOW;

	if (pa < MIXED_BELOW) {
		*end = ALIGN_DOWN(pa, piece) + piece;
		return 0;
	}
	mtrr_type(READ_ONCE(memory_types), pa, end);
	if (pa < top_mem2)
		*end = MIN(*end, top_mem2);
	return 0;
}

static bool npt_in_range(u64 ipa)
{
	return ipa >> 48 == 0;
}

/*
 * The guest's accesses count as user accesses, so U/S is set everywhere (APM 15.25.5). A present
 * leaf can always be read.
 */
static u64 npt_make_leaf(u64 pa, u32 level, u32 attrs)
{
	return attrs ? x86_make_leaf(pa, level, attrs) | PTE_US : 0;
}

/* The leaf alone limits the rights: a table grants all. */
static u64 npt_make_table(u64 pa, u32 level)
{
	return x86_make_table(pa, level) | PTE_US;
}

static struct pt_format npt = {
	.name = "AMD NPT",
	.page_shift = PAGE_SHIFT,
	.input_bits = 48,
	.top_level = 3,
	.max_leaf_level = 1,
	.split = PT_SPLIT_LIVE,
	.memory_type = npt_memory_type,
	.in_range = npt_in_range,
	.present = x86_present,
	.leaf = x86_leaf,
	.addr = x86_addr,
	.attrs = x86_attrs,
	.make_leaf = npt_make_leaf,
	.make_table = npt_make_table,
};

/* Erratum 383 of family 10h: TLB entries of two sizes for one address can cause a machine check. */
#define MULTIPLE_MATCH_FAMILY 0x10

void npt_init(u64 top_of_memory)
{
	top_mem2 = top_of_memory;
	npt.split = cpu_family() == MULTIPLE_MATCH_FAMILY ? PT_SPLIT_PAUSED : PT_SPLIT_LIVE;
	npt.max_leaf_level = cpuid(0x80000001, 0).edx & FN80000001_EDX_PAGE1GB ? 2 : 1;
}

const struct pt_format *npt_format(void)
{
	return &npt;
}
