/* SPDX-License-Identifier: BSD-2-Clause */
/* The format of extended page tables (SDM vol. 3, "The EPT Translation Mechanism"). */
#include "../memory_type.h"
#include "arch/pagetable.h"
#include "vmx.h"

#define EPT_READ    (1ull << 0)
#define EPT_WRITE   (1ull << 1)
#define EPT_EXEC    (1ull << 2)
#define EPT_ANY	    (EPT_READ | EPT_WRITE | EPT_EXEC)
#define EPT_TYPE(t) ((u64)(t) << 3)
#define EPT_LARGE   (1ull << 7)
#define EPT_ADDR    0x000ffffffffff000ull

#define LEVEL_SIZE(level) (PAGE_SIZE << 9 * (level))

/* EPT ignores the MTRRs: the leaf has their type, and the guest's PAT is combined with it. */
static u32 type_at(u64 pa, u64 *end)
{
	return mtrr_type(READ_ONCE(memory_types), pa, end) == TYPE_WB ? 0 : PT_DEVICE;
}

static u32 ept_memory_type(u64 pa, u64 *end)
{
	u32 attrs = type_at(pa, end);
	u64 next;

	while (*end != UINT64_MAX && type_at(*end, &next) == attrs)
		*end = next;
	return attrs;
}

static bool ept_in_range(u64 ipa)
{
	return ipa >> 48 == 0;
}

static bool ept_present(u64 entry, u32 level)
{
	(void)level;
	return entry & EPT_ANY;
}

static bool ept_leaf(u64 entry, u32 level)
{
	return level == 0 || (entry & EPT_LARGE);
}

static u64 ept_addr(u64 entry, u32 level)
{
	u64 addr = entry & EPT_ADDR;

	return ept_leaf(entry, level) ? addr & ~(LEVEL_SIZE(level) - 1) : addr;
}

static u32 ept_attrs(u64 entry, u32 level)
{
	u32 type = (entry >> 3) & 7;

	return (entry & EPT_READ ? PT_READ : 0) | (entry & EPT_WRITE ? PT_WRITE : 0) |
	       (entry & EPT_EXEC ? PT_EXEC : 0) |
	       (ept_leaf(entry, level) && type == TYPE_UC ? PT_DEVICE : 0);
}

/* A leaf that can be written and not read is a misconfiguration ("EPT Misconfigurations"). */
static u64 ept_make_leaf(u64 pa, u32 level, u32 attrs)
{
	if (!(attrs & (PT_READ | PT_WRITE | PT_EXEC)))
		return 0;
	return pa | (attrs & (PT_READ | PT_WRITE) ? EPT_READ : 0) |
	       (attrs & PT_WRITE ? EPT_WRITE : 0) | (attrs & PT_EXEC ? EPT_EXEC : 0) |
	       EPT_TYPE(attrs & PT_DEVICE ? TYPE_UC : TYPE_WB) | (level > 0 ? EPT_LARGE : 0);
}

/* The leaf alone limits the rights: a table grants all. */
static u64 ept_make_table(u64 pa, u32 level)
{
	(void)level;
	return pa | EPT_ANY;
}

static struct pt_format ept = {
	.name = "Intel EPT",
	.page_shift = PAGE_SHIFT,
	.input_bits = 48,
	.top_level = 3,
	.max_leaf_level = 1,
	.memory_type = ept_memory_type,
	.in_range = ept_in_range,
	.present = ept_present,
	.leaf = ept_leaf,
	.addr = ept_addr,
	.attrs = ept_attrs,
	.make_leaf = ept_make_leaf,
	.make_table = ept_make_table,
};

void ept_init(u64 capability, bool gigabyte, enum pt_split split)
{
	ept.split = split;
	ept.exec_only = capability & EPT_CAP_EXEC_ONLY;
	ept.max_leaf_level = gigabyte && capability & EPT_CAP_1G ? 2 : 1;
}

const struct pt_format *ept_format(void)
{
	return &ept;
}
