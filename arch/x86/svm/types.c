/* SPDX-License-Identifier: BSD-2-Clause */
/* Where memory types change above 4 GiB (AMD APM vol. 2, 7.7 and 7.9). */
#include "../insn.h"
#include "../memory_type.h"
#include "svm.h"

void svm_read_memory_types(void)
{
	struct mtrr_state mtrr;

	if (rdmsr(MSR_SYSCFG) & SYSCFG_TOP_MEM2)
		npt_add_border(rdmsr(MSR_TOP_MEM2));
	mtrr_read(&mtrr);
	for (u32 i = 0; i < mtrr.count; i++) {
		npt_add_border(mtrr.range[i].base);
		npt_add_border(mtrr.range[i].base + mtrr.range[i].size);
	}
}
