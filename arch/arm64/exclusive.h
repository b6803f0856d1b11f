/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Store-exclusives to shadowed pages. Whoever enters the guest clears the CPU's exclusive monitor
 * (Arm ARM B2.12), so a store-exclusive that is stepped always fails, and a guest that repeats it
 * until it succeeds never ends. Therefore it is carried out by software.
 *
 * The first attempt fails, which it always may. If the guest tries again, it has loaded the value
 * anew (a failed store-exclusive leaves no reservation), and if no write has been made to a
 * shadowed page since, that value is still there: so this attempt succeeds. Every such write is
 * counted, as the guest is paused for each. Of several CPUs one succeeds.
 */
#ifndef ARM64_EXCLUSIVE_H
#define ARM64_EXCLUSIVE_H

#include "lib/types.h"

/* An attempt, by who made it, where, and when: the same code on the same stack of the same process.
 */
struct exclusive {
	u64 pc, sp, ttbr0;
	u64 address;
	u64 writes; /* to shadowed pages, before it */
};

/*
 * STXR and STXP, LDXR and LDXP, also of bytes and halfwords, and with release or acquire semantics
 * (C4.1.94).
 */
bool insn_is_store_exclusive(u32 insn);
bool insn_is_load_exclusive(u32 insn);

/*
 * Carry out that instruction: x are the guest's registers X0 to X30, to is the guest's memory that
 * it writes to, aligned as it must be. Returns true if it has written. *last is of the CPU, and
 * becomes *now if the attempt failed. The guest is paused.
 */
bool exclusive_store(struct exclusive *last, const struct exclusive *now, u32 insn, u64 *x,
		     void *to);

#endif
