/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * x86-64 page tables: the guest's own, of 4 and 5 levels (AMD APM vol. 2, 5.3; Intel SDM vol. 3,
 * 4.5).
 */
#include "arch/pagetable.h"
#include "hv.h"
#include "insn.h"
#include <cpuid.h>

#define PTE_P	 (1ull << 0)
#define PTE_RW	 (1ull << 1)
#define PTE_PS	 (1ull << 7) /* large leaf, at levels 1 and 2; reserved above */
#define PTE_NX	 (1ull << 63)
#define PTE_ADDR 0x000ffffffffff000ull

#define LEVEL_SIZE(level) (PAGE_SIZE << 9 * (level))

bool x86_present(u64 entry, u32 level)
{
	return (entry & PTE_P) && !(level > 2 && (entry & PTE_PS));
}

bool x86_leaf(u64 entry, u32 level)
{
	return level == 0 || (entry & PTE_PS);
}

u64 x86_addr(u64 entry, u32 level)
{
	/* In a large leaf bit 12 is PAT and the bits above it are reserved. */
	if (level > 0 && (entry & PTE_PS))
		return entry & PTE_ADDR & ~(LEVEL_SIZE(level) - 1);
	return entry & PTE_ADDR;
}

u32 x86_attrs(u64 entry, u32 level)
{
	(void)level;
	return PT_READ | (entry & PTE_RW ? PT_WRITE : 0) | (entry & PTE_NX ? 0 : PT_EXEC);
}

u64 x86_make_leaf(u64 pa, u32 level, u32 attrs)
{
	return pa | PTE_P | (attrs & PT_WRITE ? PTE_RW : 0) | (attrs & PT_EXEC ? 0 : PTE_NX) |
	       (level > 0 ? PTE_PS : 0);
}

u64 x86_make_table(u64 pa, u32 level)
{
	(void)level;
	return pa | PTE_P | PTE_RW;
}

/* ---- the guest's own: read only ---- */

static bool canonical(u64 addr, u32 bits)
{
	return (u64)((s64)(addr << (64 - bits)) >> (64 - bits)) == addr;
}

static bool guest_in_range_4(u64 addr)
{
	return canonical(addr, 48);
}

static bool guest_in_range_5(u64 addr)
{
	return canonical(addr, 57);
}

static const struct pt_format guest_4_levels = {
	.name = "x86-64, 4 levels",
	.page_shift = PAGE_SHIFT,
	.input_bits = 48,
	.top_level = 3,
	.max_leaf_level = 2,
	.in_range = guest_in_range_4,
	.present = x86_present,
	.leaf = x86_leaf,
	.addr = x86_addr,
	.attrs = x86_attrs,
};

static const struct pt_format guest_5_levels = {
	.name = "x86-64, 5 levels",
	.page_shift = PAGE_SHIFT,
	.input_bits = 57,
	.top_level = 4,
	.max_leaf_level = 2,
	.in_range = guest_in_range_5,
	.present = x86_present,
	.leaf = x86_leaf,
	.addr = x86_addr,
	.attrs = x86_attrs,
};

const struct pt_format *arch_guest_format(u32 levels)
{
	switch (levels) {
	case 4:
		return &guest_4_levels;
	case 5:
		return &guest_5_levels;
	default:
		return NULL;
	}
}

/* ---- the machine ---- */

/*
 * Four levels reach 48 bits. With memory encryption one bit of an address, and those above it, are
 * none (APM vol. 2, 7.10.1): an address with that bit would be another way to the memory without
 * it, also to the monitor's.
 */
u64 physical_limit(u32 address_bits, bool encrypts, u32 encryption_bit)
{
	u32 bits = MIN(address_bits, 48u);

	return 1ull << (encrypts ? MIN(bits, encryption_bit) : bits);
}

#define FN8000001F_EAX_SME	  (1u << 0)
#define FN8000001F_EBX_C_BIT(ebx) ((ebx)&0x3f)

/* APM vol. 3, CPUID Fn8000_0008_EAX[7:0] and Fn8000_001F */
u64 arch_physical_limit(void)
{
	u32 eax, ebx, ecx, edx, bits = 36;

	if (__get_cpuid(0x80000008, &eax, &ebx, &ecx, &edx))
		bits = eax & 0xff;
	if (!__get_cpuid(0x8000001f, &eax, &ebx, &ecx, &edx))
		eax = ebx = 0;
	return physical_limit(bits, eax & FN8000001F_EAX_SME, FN8000001F_EBX_C_BIT(ebx));
}
