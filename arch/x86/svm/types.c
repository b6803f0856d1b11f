/* SPDX-License-Identifier: BSD-2-Clause */
/* Where memory types change above 4 GiB (AMD APM vol. 2, 7.7 and 7.9). */
#include "svm.h"
#include "../insn.h"
#include "arch/pagetable.h"

#define MTRR_CAP_COUNT(v) ((v)&0xff)
#define MTRR_VALID	  (1ull << 11)
#define MTRR_PAIRS	  16u
#define FN1_EDX_MTRR	  (1u << 12)

/* A range of a variable MTRR: its mask has the bits that are compared (APM vol. 2, 7.7.2). */
static void add_mtrr(u64 base, u64 mask)
{
	u64 size;

	if (!(mask & MTRR_VALID))
		return;
	base &= ~(PAGE_SIZE - 1) & (arch_physical_limit() - 1);
	mask &= ~(PAGE_SIZE - 1);
	size = mask & -mask;
	npt_add_border(base);
	npt_add_border(base + size);
}

void svm_read_memory_types(void)
{
	u32 pairs = 0;

	if (rdmsr(MSR_SYSCFG) & SYSCFG_TOP_MEM2)
		npt_add_border(rdmsr(MSR_TOP_MEM2));
	if (cpuid(1, 0).edx & FN1_EDX_MTRR)
		pairs = MIN((u32)MTRR_CAP_COUNT(rdmsr(MSR_MTRR_CAP)), MTRR_PAIRS);
	for (u32 i = 0; i < pairs; i++)
		add_mtrr(rdmsr(MSR_MTRR_VARIABLE + 2 * i), rdmsr(MSR_MTRR_VARIABLE + 2 * i + 1));
}
