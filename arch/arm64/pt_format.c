/* SPDX-License-Identifier: BSD-2-Clause */
#include "pt_format.h"
#include "lib/mutate.h"

/* Descriptors (D8.3): bits 1:0 are 3 for tables and pages, 1 for blocks. */
#define PTE_VALID (1ull << 0)
#define PTE_TABLE (1ull << 1)
#define PTE_ADDR  0x0000fffffffff000ull
/* Of a block, below its smallest size in any granule: RES0, and nT (bit 16). */
#define PTE_BLOCK_LOW 0x1ff000ull
#define PTE_SH_INNER  (3ull << 8)
#define PTE_AF	      (1ull << 10)

/* stage 1 (D8.3.1.2) */
#define PTE_ATTR_INDEX(n) ((u64)(n) << 2)
#define PTE_AP1		  (1ull << 6) /* EL0 too; RES1 at EL2 */
#define PTE_AP2		  (1ull << 7) /* read-only */
#define PTE_PXN		  (1ull << 53)
#define PTE_XN		  (1ull << 54) /* EL2; UXN at EL1 */

#define TABLE_PXN (1ull << 59) /* of all that a table leads to */
#define TABLE_XN  (1ull << 60)

/* stage 2 (D8.3.1.3, D8.5.5 for MemAttr) */
#define S2_DEVICE (1ull << 2)	/* Device-nGnRE */
#define S2_NORMAL (0xfull << 2) /* write-back; the guest's own attributes decide */
#define S2_READ	  (1ull << 6)
#define S2_WRITE  (1ull << 7)
#define S2_XN	  (2ull << 53)

#define PAGES_4K 12

static bool is_valid(u64 entry, u32 level)
{
	/* The largest blocks are at level 2 (1 GiB of 4 KiB pages) without FEAT_LPA2. */
	return (entry & PTE_VALID) && ((entry & PTE_TABLE) || (level > 0 && level < 3));
}

static bool is_leaf(u64 entry, u32 level)
{
	return level == 0 || !(entry & PTE_TABLE);
}

static u64 entry_addr(u64 entry, u32 level)
{
	u64 addr = entry & PTE_ADDR;

	return level > 0 && is_leaf(entry, level) ? addr & ~PTE_BLOCK_LOW : addr;
}

static u64 leaf_kind(u32 level)
{
	return PTE_VALID | (level == 0 ? PTE_TABLE : 0);
}

static u64 make_table(u64 pa, u32 level)
{
	(void)level;
	return pa | PTE_VALID | PTE_TABLE;
}

/* ---- stage 2 ---- */

static bool in_range_48(u64 addr)
{
	return addr >> 48 == 0;
}

static bool stage2_present(u64 entry, u32 level)
{
	return is_valid(MUTATION(revoked_entries) ? entry : stage2_restore(entry), level);
}

static u32 stage2_attrs(u64 entry, u32 level)
{
	(void)level;
	return (entry & S2_READ ? PT_READ : 0) | (entry & S2_WRITE ? PT_WRITE : 0) |
	       (entry & S2_XN ? 0 : PT_EXEC) | ((entry & S2_NORMAL) == S2_DEVICE ? PT_DEVICE : 0);
}

static u64 stage2_make_leaf(u64 pa, u32 level, u32 attrs)
{
	if (!attrs)
		return 0;
	return pa | leaf_kind(level) | PTE_AF | PTE_SH_INNER |
	       (attrs & PT_DEVICE && !MUTATION(device_memory) ? S2_DEVICE : S2_NORMAL) |
	       (attrs & PT_READ ? S2_READ : 0) | (attrs & PT_WRITE ? S2_WRITE : 0) |
	       (attrs & PT_EXEC ? 0 : S2_XN);
}

/* Levels below the root, when up to 16 tables in a row resolve 4 bits more than one (D8.2.2). */
static u32 stage2_top_level(u32 bits)
{
	u32 level = 1;

	while (PAGES_4K + 9 * (level + 1) + 4 < bits)
		level++;
	return level;
}

void stage2_format(struct pt_format *f, u32 bits, void (*invalidate)(u64 addr, u64 size))
{
	*f = (struct pt_format){
		.name = "arm64 stage 2",
		.page_shift = PAGES_4K,
		.input_bits = bits,
		.top_level = stage2_top_level(bits),
		.max_leaf_level = 2,
		/* Live only with FEAT_BBM at level 2 on CPUs known to raise no conflict abort. */
		.split = MUTATION(paused_splits) ? PT_SPLIT_LIVE : PT_SPLIT_PAUSED,
		.exec_only = true,
		.in_range = in_range_48,
		.present = stage2_present,
		.leaf = is_leaf,
		.addr = entry_addr,
		.attrs = stage2_attrs,
		.make_leaf = stage2_make_leaf,
		.make_table = make_table,
		.invalidate = invalidate,
	};
	f->max_leaf_level = f->top_level < 2 ? f->top_level : 2;
}

#define VTCR_RES1 (1ull << 31)

u64 stage2_vtcr(const struct pt_format *f, u64 parange)
{
	/* SL0 of 4 KiB: 0 begins at the level of 2 MiB, 1 of 1 GiB, 2 of 512 GiB. */
	u64 sl0 = f->top_level - 1, cacheable = 1ull << 8 | 1ull << 10,
	    inner_shareable = 3ull << 12;

	return (64 - f->input_bits) | sl0 << 6 | cacheable | inner_shareable | parange << 16 |
	       VTCR_RES1;
}

/* ---- the monitor's own ---- */

static u64 monitor_make_leaf(u64 pa, u32 level, u32 attrs)
{
	if (!attrs)
		return 0;
	return pa | leaf_kind(level) | PTE_AF | PTE_SH_INNER | PTE_AP1 |
	       PTE_ATTR_INDEX(attrs & PT_DEVICE ? 1 : 0) | (attrs & PT_WRITE ? 0 : PTE_AP2) |
	       (attrs & PT_EXEC ? 0 : PTE_XN);
}

static u32 monitor_attrs(u64 entry, u32 level)
{
	(void)level;
	return PT_READ | (entry & PTE_AP2 ? 0 : PT_WRITE) | (entry & PTE_XN ? 0 : PT_EXEC) |
	       (entry & PTE_ATTR_INDEX(7) ? PT_DEVICE : 0);
}

void monitor_format(struct pt_format *f, u32 (*memory_type)(u64 pa, u64 *end))
{
	*f = (struct pt_format){
		.name = "arm64 EL2",
		.page_shift = PAGES_4K,
		.input_bits = 48,
		.top_level = 3,
		.max_leaf_level = 2,
		.memory_type = memory_type,
		.in_range = in_range_48,
		.present = is_valid,
		.leaf = is_leaf,
		.addr = entry_addr,
		.attrs = monitor_attrs,
		.make_leaf = monitor_make_leaf,
		.make_table = make_table,
	};
}

/* ---- the guest's own: read only ---- */

/* FEAT_LPA2 (D8.3.1.2): two bits of the address lie where shareability was; blocks of 512 GiB. */
#define PTE_ADDR_LPA2	   0x0003fffffffff000ull
#define PTE_HIGH_LPA2(pte) (((pte) >> 8 & 3) << 50)

static bool is_valid_lpa2(u64 entry, u32 level)
{
	return (entry & PTE_VALID) && ((entry & PTE_TABLE) || (level > 0 && level < 4));
}

static u64 entry_addr_lpa2(u64 entry, u32 level)
{
	u64 addr = (entry & PTE_ADDR_LPA2) | PTE_HIGH_LPA2(entry);

	return level > 0 && is_leaf(entry, level) ? addr & ~PTE_BLOCK_LOW : addr;
}

static bool in_any_range(u64 addr)
{
	(void)addr;
	return true;
}

static bool in_a_half_39(u64 addr)
{
	return addr >> 39 == 0 || addr >> 39 == (1ull << 25) - 1;
}

static bool in_a_half_48(u64 addr)
{
	return addr >> 48 == 0 || addr >> 48 == 0xffff;
}

static bool in_a_half_52(u64 addr)
{
	return addr >> 52 == 0 || addr >> 52 == 0xfff;
}

/* In the kernel's mode; what tables above take away is not looked at (Linux does not use it). */
static u32 guest_attrs(u64 entry, u32 level)
{
	(void)level;
	return PT_READ | (entry & PTE_AP2 ? 0 : PT_WRITE) | (entry & PTE_PXN ? 0 : PT_EXEC);
}

#define GUEST_FORMAT(title, bits, top, range)                                                      \
	{                                                                                          \
		.name = (title), .page_shift = PAGES_4K, .input_bits = (bits), .top_level = (top), \
		.max_leaf_level = 2, .in_range = (range), .present = is_valid, .leaf = is_leaf,    \
		.addr = entry_addr, .attrs = guest_attrs,                                          \
	}

static const struct pt_format guest_3_levels = GUEST_FORMAT("arm64, 3 levels", 39, 2, in_a_half_39);
static const struct pt_format guest_4_levels = GUEST_FORMAT("arm64, 4 levels", 48, 3, in_a_half_48);

static const struct pt_format guest_5_levels = {
	.name = "arm64, 5 levels",
	.page_shift = PAGES_4K,
	.input_bits = 52,
	.top_level = 4,
	.max_leaf_level = 3,
	.in_range = in_a_half_52,
	.present = is_valid_lpa2,
	.leaf = is_leaf,
	.addr = entry_addr_lpa2,
	.attrs = guest_attrs,
};

const struct pt_format *guest_format_of_levels(u32 levels)
{
	switch (levels) {
	case 3:
		return &guest_3_levels;
	case 4:
		return &guest_4_levels;
	case 5:
		return &guest_5_levels;
	default:
		return NULL;
	}
}

u32 stage1_top_level(u32 bits, u32 shift)
{
	return (bits - shift - 1) / (shift - 3);
}

bool guest_format(struct pt_format *f, u32 bits, u32 shift, bool lpa2)
{
	if ((shift != 12 && shift != 14 && shift != 16) || bits < 25 || bits > (lpa2 ? 52 : 48) ||
	    (lpa2 && shift == 16))
		return false;
	*f = lpa2 ? guest_5_levels : guest_4_levels;
	f->name = "arm64";
	f->page_shift = shift;
	f->input_bits = bits;
	f->top_level = stage1_top_level(bits, shift);
	f->in_range = in_any_range;
	return true;
}

u64 stage1_entry_for_el1(u64 entry, u32 level)
{
	if (!is_leaf(entry, level))
		return entry | (entry & TABLE_XN ? TABLE_PXN : 0);
	if (MUTATION(pages_of_el0))
		return entry;
	return (entry & ~(PTE_AP1 | PTE_PXN)) | (entry & PTE_XN ? PTE_PXN : 0);
}

/* Those of TCR_EL2; T0SZ, IRGN0, ORGN0, SH0 and TG0 are at the same places in TCR_EL1. */
#define TCR_LOW	   0xffffull
#define TCR_DS	   (1ull << 32)
#define TCR_EPD1   (1ull << 23)
#define TCR_T1SZ   (16ull << 16)
#define TCR_TG1_4K (2ull << 30)

bool stage1_tcr_is_known(u64 tcr)
{
	u32 bits = 64 - (u32)(tcr & 63);

	return !(tcr & TCR_DS) && (tcr >> 14 & 3) != 3 && bits >= 25 && bits <= 48;
}

u64 stage1_tcr_for_el1(u64 tcr)
{
	/* PS, TBI, HA and HD, HPD, TBID */
	return (tcr & TCR_LOW) | TCR_EPD1 | TCR_T1SZ | TCR_TG1_4K | (tcr >> 16 & 7) << 32 |
	       (tcr >> 20 & 1) << 37 | (tcr >> 21 & 3) << 39 | (tcr >> 24 & 1) << 41 |
	       (tcr >> 29 & 1) << 51;
}
