/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Loads from pages whose redirects are hidden, carried out by software: no CPU is stopped for them,
 * as one would be for a step. They are those of which the processor says all that is needed (one
 * general register, no write-back), pairs of general registers, by which memory is copied, and
 * load-exclusives. The store that belongs to such a one never succeeds, since the return to the
 * guest clears the exclusive monitor (docs/redirects.md): its loop must not stop the other CPUs.
 */
#ifndef ARM64_LOAD_H
#define ARM64_LOAD_H

#include "lib/types.h"

/* A load that a data abort was about. */
struct load {
	u64 esr, far;	  /* ESR_EL2, FAR_EL2 */
	u32 insn;	  /* A64; 0 if it is not known */
	const void *page; /* the guest's memory for the page that FAR_EL2 is in */
	u64 *x;		  /* the guest's registers X0 to X30 */
};

/*
 * Carry it out, little-endian. False: it is none of those, or it may have a part on another page;
 * nothing has changed. Any CPU.
 */
bool load_carry_out(const struct load *l);

#endif
