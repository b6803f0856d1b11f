/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The processor as the guest sees it, and what the guest may change of it: tables of CPUID, MSRs,
 * control registers and XCR0, the same for SVM and VMX (docs/processor.md). Pure functions; any
 * CPU.
 */
#ifndef X86_POLICY_H
#define X86_POLICY_H

#include "insn.h"

struct cpu;

enum policy {
	PASS,	 /* the guest's own: the access does not exit, if the vendor allows a choice for it
		    alone */
	HIDE,	 /* #GP: it belongs to a feature that CPUID does not show */
	REFUSE,	 /* #GP: it exists, and the guest may not change it */
	MIRROR,	 /* the access reaches the hardware, after the monitor has examined it, and perhaps
		    altered or refused it */
	EMULATE, /* the guest has a value of its own, the hardware another one */
};

/* ---- cpuid.c ---- */

enum cpuid_register { A, B, C, D };

/* One register with feature bits: the guest sees only the bits that are known to be harmless. */
struct cpuid_rule {
	u32 leaf, subleaf;
	enum cpuid_register reg;
	u32 show;
};
extern const struct cpuid_rule cpuid_rules[];
extern const u32 nr_cpuid_rules;

/* The answer for the guest, from the processor's answer `raw` and the guest's CR4. */
struct cpuid cpuid_filter(u32 leaf, u32 subleaf, struct cpuid raw, u64 cr4);

/* ---- msr.c ---- */

/* The time from which accesses with a policy other than PASS exit. */
enum msr_when {
	ALWAYS,
	TSC_MOVED,	/* once a guest has set a time stamp counter */
	READ_TSC_MOVED, /* reads as TSC_MOVED, writes always */
};

struct msr_rule {
	u32 first, last;
	enum policy read, write;
	enum msr_when when;
	/* For MIRROR and EMULATE. 0, or -EIO for #GP. On that CPU, in its exit. */
	int (*get)(struct cpu *c, u32 msr, u64 *value);
	int (*set)(struct cpu *c, u32 msr, u64 value);
};
/* In ascending order. MSRs that are not listed pass. */
extern const struct msr_rule msr_rules[];
extern const u32 nr_msr_rules;
/* Whether a read, or a write, of the rule's MSRs exits, before or after a guest set a counter. */
bool msr_exits(const struct msr_rule *r, bool write, bool tsc_moved);

/* ---- cr.c ---- */

struct cr_rule {
	u32 cr;
	enum policy policy; /* PASS, or MIRROR: the guest sees its own value, the hardware has the
			       bit set */
	u64 bits;
};
extern const struct cr_rule cr_rules[];
extern const u32 nr_cr_rules;

/*
 * The bits of CR0 or CR4 whose change must exit where that can be chosen bit by bit (VMX: the
 * guest/host mask, "Guest/Host Masks and Read Shadows for CR0 and CR4"). Bits that are not listed
 * are among them, and refused. On SVM no write exits, since the choice is not by bit: the processor
 * alone decides which bits of CR4 exist.
 */
u64 cr_owned(u32 cr);
/* True if the guest may write it. Otherwise #GP. */
bool cr_allows(u32 cr, u64 value);

/*
 * True if the guest may set XCR0 (index 0) to value, on a processor that supports `supported`
 * (CPUID leaf 13). Otherwise #GP (APM vol. 2, 11.5; SDM vol. 1, "Enabling the XSAVE Feature Set").
 */
bool xcr_allows(u32 index, u64 value, u64 supported);

#endif
