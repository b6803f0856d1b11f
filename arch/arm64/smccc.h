/* SPDX-License-Identifier: BSD-2-Clause */
/* Function numbers of the SMC Calling Convention (SMCCC, DEN0028, chapter 2). */
#ifndef ARM64_SMCCC_H
#define ARM64_SMCCC_H

#include "lib/mutate.h"
#include "lib/types.h"

#define SMCCC_FAST 0x80000000u
#define SMCCC_64   0x40000000u
#define SMCCC_SVE_HINT                                                                             \
	0x00010000u	      /* "no live SVE state": of no number's meaning (2.5, since 1.3) */
#define SMCCC_UNKNOWN (~0ull) /* the answer to what does not exist (5.2) */

/* Which function a fast call's x0 names, by the number of its 32-bit form; 0: not a fast call. */
static inline u32 smccc_function(u64 x0)
{
	u32 fn = (u32)x0 & ~(SMCCC_64 | SMCCC_SVE_HINT);

	return fn & SMCCC_FAST ? fn : 0;
}

/* Power state coordination (table 6-2) */
static inline bool smccc_is_psci(u64 x0)
{
	return smccc_function(x0) - 0x84000000u < 0x20;
}

/*
 * Software delegated exceptions (DEN0054, 5.1). Firmware enters their handlers at the exception
 * level that registered them, which is EL2 for what the monitor passes on.
 */
static inline bool smccc_is_sdei(u64 x0)
{
	return !MUTATION(sdei) && smccc_function(x0) - 0x84000020u < 0x20;
}

#endif
