/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the guest may see and change of the processor: tables of CPUID, MSRs, control registers and
 * XCR0, the same for SVM and VMX (docs/processor.md). Pure functions; any CPU.
 */
#ifndef X86_POLICY_H
#define X86_POLICY_H

#include "insn.h"

struct cpu;

enum policy {
	PASS,	 /* the guest's own: it does not exit where the vendor can tell it apart */
	HIDE,	 /* #GP: it belongs to what CPUID does not show */
	REFUSE,	 /* #GP: it is there, and not the guest's to change */
	MIRROR,	 /* the hardware's, but the monitor looks at it on the way, and may alter or refuse
		    it */
	EMULATE, /* the guest has its own, the hardware another one */
};

/* ---- cpuid.c ---- */

enum cpuid_register { A, B, C, D };

/* One word of features: those bits alone are shown that are known to be harmless. */
struct cpuid_rule {
	u32 leaf, subleaf;
	enum cpuid_register reg;
	u32 show;
};
extern const struct cpuid_rule cpuid_rules[];
extern const u32 nr_cpuid_rules;

/* What the guest is to see of `raw`, the processor's answer, when its CR4 is `cr4`. */
struct cpuid cpuid_filter(u32 leaf, u32 subleaf, struct cpuid raw, u64 cr4);

/* ---- msr.c ---- */

/* When the accesses exit whose policy is not PASS. */
enum msr_when {
	ALWAYS,
	TSC_MOVED,    /* once a guest has set a time stamp counter */
	MEMORY_TYPES, /* if stage 2 does not heed the MTRRs by itself (hv->set_mtrr) */
};

struct msr_rule {
	u32 first, last;
	enum policy read, write;
	enum msr_when when;
	/* For MIRROR and EMULATE. 0, or -EIO for #GP. On that CPU, in its exit. */
	int (*get)(struct cpu *c, u32 msr, u64 *value);
	int (*set)(struct cpu *c, u32 msr, u64 value);
};
/* In ascending order. What is not listed passes. */
extern const struct msr_rule msr_rules[];
extern const u32 nr_msr_rules;

/* ---- cr.c ---- */

struct cr_rule {
	u32 cr;
	enum policy policy; /* PASS, or MIRROR: the guest sees its own, the hardware has it set */
	u64 bits;
};
extern const struct cr_rule cr_rules[];
extern const u32 nr_cr_rules;

/*
 * The bits of CR0 or CR4 whose change must exit where that can be chosen bit by bit (VMX: the
 * guest/host mask, "Guest/Host Masks and Read Shadows for CR0 and CR4"). What is not listed is
 * theirs too, and refused. SVM can only have every write exit: it has none, and what its CR4 takes
 * is up to the processor.
 */
u64 cr_owned(u32 cr);
/* May the guest write it? Else #GP. */
bool cr_allows(u32 cr, u64 value);

/*
 * May the guest set XCR0 (index 0) so, on a processor that supports `supported` (CPUID leaf 13)?
 * Else #GP (APM vol. 2, 11.5; SDM vol. 1, "Enabling the XSAVE Feature Set").
 */
bool xcr_allows(u32 index, u64 value, u64 supported);

#endif
