/* SPDX-License-Identifier: BSD-2-Clause */
/* Translation tables of VMSAv8-64 (Arm ARM DDI 0487, D8). No instruction of it: it runs anywhere.
 */
#ifndef ARM64_PT_FORMAT_H
#define ARM64_PT_FORMAT_H

#include "arch/pagetable.h"

/* MAIR_EL2's fields, and so the indices in leaves of the monitor's own tables (D19.2.98). */
#define MAIR_NORMAL 0xffull /* write-back, allocating, inner and outer */
#define MAIR_DEVICE 0x04ull /* Device-nGnRE */
#define MAIR_EL2    (MAIR_NORMAL | MAIR_DEVICE << 8)

/*
 * Stage 2 for physical addresses of `bits` bits (32, 36, 40, 42, 44 or 48), pages of 4 KiB. The
 * root is as low as it can be: up to 16 tables in a row (D8.2.2), as processors with less than 44
 * bits want it.
 */
void stage2_format(struct pt_format *f, u32 bits, void (*invalidate)(u64 addr, u64 size));

/* VTCR_EL2 for it (D19.2.157), with PS, the field of ID_AA64MMFR0_EL1.PARange. */
u64 stage2_vtcr(const struct pt_format *f, u64 parange);

/*
 * An entry that is out of force: invalid for the processor, which ignores all its other bits
 * (D8.3.1), and valid for the walker. kick.c takes the root's entries out of force.
 */
#define STAGE2_REVOKED (1ull << 55)
static inline u64 stage2_revoke(u64 entry)
{
	return entry & 1 ? (entry & ~1ull) | STAGE2_REVOKED : entry;
}

static inline u64 stage2_restore(u64 entry)
{
	return entry & STAGE2_REVOKED ? (entry & ~STAGE2_REVOKED) | 1 : entry;
}

/* The monitor's own: stage 1 of EL2, 48 bits (TCR_EL2.T0SZ 16). */
void monitor_format(struct pt_format *f, u32 (*memory_type)(u64 pa, u64 *end));

/* arch_guest_format(): pages of 4 KiB, addresses of 39 bits (3 levels), 48 (4) or 52 (5: LPA2). */
const struct pt_format *guest_format_of_levels(u32 levels);

/*
 * Stage 1 of EL1, which is only read, as TCR_EL1.TxSZ, TGx and DS have it: `bits` of input, pages
 * of 1 << shift bytes, entries of FEAT_LPA2. Its in_range() is always true: who walks cuts
 * addresses to `bits`. False: there is no such format.
 */
bool guest_format(struct pt_format *f, u32 bits, u32 shift, bool lpa2);

/*
 * A valid entry of the firmware's tables for EL2 (E2H 0), as EL1 is to find it: there, a page that
 * EL0 may write cannot be executed, and XN is two bits (D8.4.1).
 */
u64 stage1_entry_for_el1(u64 entry, u32 level);

/*
 * The firmware's TCR_EL2 (E2H 0, D19.2.137): are the tables of a form that is known here? And as
 * TCR_EL1 (D19.2.136), with nothing in the upper half.
 */
bool stage1_tcr_is_known(u64 tcr);
u64 stage1_tcr_for_el1(u64 tcr);

/* Levels below the top one, for so many bits of input. */
u32 stage1_top_level(u32 bits, u32 shift);

#endif
