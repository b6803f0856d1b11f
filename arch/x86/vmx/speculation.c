/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What speculation of the processor could bring from the guest into the monitor, and back (Intel,
 * "CPUID Enumeration and Architectural MSRs", of its guidance on software security). Processors say
 * by IA32_ARCH_CAPABILITIES which faults they do not have; one without that register counts as if
 * it had all of them.
 */
#include "vmx.h"

#define FN7_EDX_MD_CLEAR  (1u << 10)
#define FN7_EDX_IBRS	  (1u << 26)
#define FN7_EDX_L1D_FLUSH (1u << 28)
#define FN7_2_EDX_RRSBA	  (1u << 2) /* RRSBA_CTRL */
#define FN7_2_EDX_BHI	  (1u << 4) /* BHI_CTRL */

#define RDCL_NO	       (1ull << 0)
#define SKIP_L1D_FLUSH (1ull << 3) /* SKIP_L1DFL_VMENTRY */
#define MDS_NO	       (1ull << 5)
#define TAA_NO	       (1ull << 8)
#define MMIO_NO	       (7ull << 13) /* SBDR_SSDP_NO, FBSDP_NO, PSDP_NO: of all three */
#define FB_CLEAR       (1ull << 17)
#define RFDS_NO	       (1ull << 27)
#define RFDS_CLEAR     (1ull << 28)

#define SPEC_CTRL_IBRS	      (1ull << 0)
#define SPEC_CTRL_RRSBA_DIS_S (1ull << 6)
#define SPEC_CTRL_BHI_DIS_S   (1ull << 10)

/* The faults by which buffers leak, and whether VERW clears them on this processor. */
static bool has_buffers_to_clear(const struct vmx_features *f)
{
	bool md_clear = f->fn7_edx & FN7_EDX_MD_CLEAR;
	const struct {
		u64 absent;
		bool clears;
	} faults[] = {
		{MDS_NO, md_clear},
		{TAA_NO, md_clear && f->transactions},
		{MMIO_NO, f->arch_capabilities & FB_CLEAR},
		{RFDS_NO, f->arch_capabilities & RFDS_CLEAR},
	};

	for (u32 i = 0; i < ARRAY_SIZE(faults); i++)
		if (faults[i].clears &&
		    (f->arch_capabilities & faults[i].absent) != faults[i].absent)
			return true;
	return false;
}

/*
 * IBRS: what indirect branches of the monitor do is not the guest's. It has none but those of
 * thunks, which are returns: where an empty predictor of returns asks that of branches, it must not
 * (RRSBA_DIS_S), nor go by the history of branches (BHI_DIS_S).
 */
static u64 monitors_spec_ctrl(const struct vmx_features *f)
{
	return SPEC_CTRL_IBRS | (f->fn7_2_edx & FN7_2_EDX_RRSBA ? SPEC_CTRL_RRSBA_DIS_S : 0) |
	       (f->fn7_2_edx & FN7_2_EDX_BHI ? SPEC_CTRL_BHI_DIS_S : 0);
}

struct vmx_speculation vmx_choose_speculation(const struct vmx_features *f)
{
	bool leaks_l1 = !(f->arch_capabilities & (RDCL_NO | SKIP_L1D_FLUSH));
	bool flushes = f->fn7_edx & FN7_EDX_L1D_FLUSH;
	struct vmx_speculation s = {
		.has_spec_ctrl = f->fn7_edx & FN7_EDX_IBRS,
		.clear_buffers = has_buffers_to_clear(f),
		.flush_l1d = leaks_l1 && flushes,
	};

	if (s.has_spec_ctrl)
		s.spec_ctrl = monitors_spec_ctrl(f);
	if (leaks_l1 && !flushes)
		s.lacks = "L1D_FLUSH (L1TF)";
	else if (!(f->arch_capabilities & MDS_NO) && !(f->fn7_edx & FN7_EDX_MD_CLEAR))
		s.lacks = "MD_CLEAR (MDS)";
	return s;
}
