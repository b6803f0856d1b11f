/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an exception tells (ESR_EL2), and what it does to PSTATE (Arm ARM DDI 0487, D1.3). No
 * instruction of the processor: it runs anywhere.
 */
#ifndef ARM64_EXCEPTION_H
#define ARM64_EXCEPTION_H

#include "arch/pagetable.h"
#include "lib/mutate.h"
#include "sysreg.h"

/* ---- aborts: ISS of ESR_EL2 (D19.2.37) ---- */

#define ISS_FSC(esr)	   ((u32)(esr)&0x3f)
#define ISS_WNR		   (1ull << 6)
#define ISS_S1PTW	   (1ull << 7)
#define ISS_CM		   (1ull << 8)
#define FSC_TRANSLATION	   0x04 /* to 0x07, by level; behind them faults of the access flag */
#define FSC_PERMISSION	   0x0c /* to 0x0f */
#define FSC_EXTERNAL	   0x10
#define FSC_TRANSLATION_M2 0x2a /* of level -2 */
#define FSC_TRANSLATION_M1 0x2b
#define FSC_EXTERNAL_WALK  0x14 /* to 0x17 */
#define FSC_TLB_CONFLICT   0x30
#define FSC_EXCLUSIVE	   0x35 /* exclusive or atomic access to memory that has none */

static inline bool abort_is_permission(u64 esr)
{
	return (ISS_FSC(esr) & ~3u) == FSC_PERMISSION;
}

/* The access was the CPU's own, to the guest's page tables. */
static inline bool abort_is_walk(u64 esr)
{
	return esr & ISS_S1PTW;
}

/*
 * Do the tables of stage 2 refuse it? There are other reasons than that. Levels below 0 are of
 * guests whose tables have them (FEAT_LPA2, FEAT_D128), when stage 2 refuses their walk.
 */
static inline bool abort_is_refusal(u64 esr)
{
	u32 fsc = ISS_FSC(esr);

	return (fsc >= FSC_TRANSLATION && fsc < FSC_EXTERNAL) || fsc == FSC_TRANSLATION_M1 ||
	       fsc == FSC_TRANSLATION_M2;
}

/*
 * PT_*: what was asked for. A walk reads, and writes when it sets a flag in an entry, for fetches
 * too. Stage 2 lets all be read that it maps, but code whose redirects are hidden, where the guest
 * has no tables: a permission that a walk lacks is that to write; WnR is about the access that the
 * walk was for. An atomic access reads, if it may not even do that. WnR is 1 for each cache
 * maintenance instruction: those need a mapping, and only DC IVAC the permission to write.
 */
static inline u32 abort_need(u64 esr)
{
	if (abort_is_walk(esr) || (ESR_EC(esr) == EC_DABT_LOWER && (esr & ISS_CM)))
		return abort_is_permission(esr) ? PT_WRITE : PT_READ;
	if (ESR_EC(esr) == EC_IABT_LOWER)
		return PT_EXEC;
	return esr & ISS_WNR ? PT_WRITE : PT_READ;
}

/*
 * The syndrome of a load or store of one general register without write-back: ISV, and then size
 * (SAS), sign extension (SSE), register (SRT) and whether that is one of 64 bits (SF).
 */
#define ISS_ISV	     (1ull << 24)
#define ISS_SAS(esr) ((u32)((esr) >> 22) & 3)
#define ISS_SSE	     (1ull << 21)
#define ISS_SRT(esr) ((u32)((esr) >> 16) & 31)
#define ISS_SF	     (1ull << 15)

/* ---- PSTATE, as SPSR_EL2 has it (C5.2.20) ---- */

#define PSTATE_BTYPE  (3ull << 10)
#define PSTATE_SSBS   (1ull << 12)
#define PSTATE_ALLINT (1ull << 13)
#define PSTATE_TCO    (1ull << 25)
/* What an exception to EL1 leaves: flags, DIT, PAN. */
#define PSTATE_KEPT (0xfull << 28 | 1ull << 24 | PSTATE_PAN)
/* T32's IT (AArch32): its bits 7 to 2, and its bits 1 and 0 */
#define PSTATE_IT_HIGH (0x3full << 10)
#define PSTATE_IT_LOW  (3ull << 25)

#define SCTLR_DSSBS	(1ull << 44)
#define SCTLR_SPINTMASK (1ull << 62)

/* The IT state behind an instruction (AArch32.ITAdvance): 0 behind the last one of a block.
 */
static inline u64 pstate_advance_it(u64 pstate)
{
	u64 it = (pstate >> 10 & 0x3f) << 2 | (pstate >> 25 & 3);

	it = it & 7 ? (it & 0xe0) | (it << 1 & 0x1f) : 0;
	return (pstate & ~(PSTATE_IT_HIGH | PSTATE_IT_LOW)) | it >> 2 << 10 | (it & 3) << 25;
}

/* Behind an instruction that was carried out for the guest: a step of its own is over (D2.12). */
static inline u64 pstate_behind(u64 pstate)
{
	pstate &= ~PSTATE_SS;
	return pstate & PSTATE_A32 ? pstate_advance_it(pstate) : pstate & ~PSTATE_BTYPE;
}

/* Features that have bits in PSTATE. */
struct pstate_features {
	bool pan, mte, nmi;
};

/* That of EL1 at the entry of an exception (AArch64.TakeException), by SCTLR_EL1. */
static inline u64 pstate_of_entry(u64 pstate, u64 sctlr, struct pstate_features has)
{
	u64 entry = (pstate & PSTATE_KEPT) | PSTATE_EL1H | PSTATE_DAIF;

	if (has.pan && !(sctlr & SCTLR_SPAN))
		entry |= PSTATE_PAN;
	if (sctlr & SCTLR_DSSBS)
		entry |= PSTATE_SSBS;
	if (has.mte)
		entry |= PSTATE_TCO;
	if (has.nmi && !(sctlr & SCTLR_SPINTMASK))
		entry |= PSTATE_ALLINT;
	return entry;
}

/* Vectors by where the exception comes from (D1.3.1.3). */
static inline u64 vector_offset(u64 pstate)
{
	if (pstate & PSTATE_A32)
		return 0x600;
	if (PSTATE_EL(pstate) == 0 && !MUTATION(vector_of_el0))
		return 0x400;
	return pstate & 1 ? 0x200 : 0;
}

/* ---- single steps of the monitor's ---- */

/* Bit 9 is the byte order in AArch32 (C5.2.20). */
static inline u64 pstate_step_bits(u64 pstate)
{
	return PSTATE_SS | (pstate & PSTATE_A32 ? PSTATE_DAIF & ~PSTATE_D : PSTATE_DAIF);
}

/* Masks all that could come before the instruction, and has it stepped (D2.12). */
static inline u64 pstate_to_step(u64 pstate)
{
	return pstate | pstate_step_bits(pstate);
}

/*
 * `pstate` behind the step, with what it was `before` where that belongs to the guest: the guest's
 * own step, in which the instruction may be, ends when the instruction is `completed`.
 */
static inline u64 pstate_stepped(u64 pstate, u64 before, bool completed)
{
	u64 bits = pstate_step_bits(before);

	return (pstate & ~bits) | (before & (completed ? bits & ~PSTATE_SS : bits));
}

#endif
