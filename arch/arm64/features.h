/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What EL2 must allow for nothing to trap or to be missing that the processor has: bits that are 1
 * for that (Linux: Documentation/arch/arm64/booting.rst). No instruction of the processor: it runs
 * anywhere.
 */
#ifndef ARM64_FEATURES_H
#define ARM64_FEATURES_H

#include "lib/types.h"

/* ID_AA64*_EL1; and PMSIDR_EL1, 0 where there is no SPE */
struct id_regs {
	u64 pfr0, pfr1, pfr2, isar1, isar2, mmfr3, dfr0, pmsidr;
};

/* Of registers of EL2: the bits of features; hfgxtr is for reads and writes, and so on. */
struct allowed {
	u64 hcr, hcrx;
	u64 hfgxtr, hfgitr, hdfgrtr, hdfgwtr; /* FEAT_FGT */
	u64 hfgxtr2, hdfgxtr2;		      /* FEAT_FGT2 */
};

void features_allow(const struct id_regs *id, struct allowed *a);

#endif
