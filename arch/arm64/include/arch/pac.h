/* SPDX-License-Identifier: BSD-2-Clause */
/* Return addresses of the guest may carry an authentication code (FEAT_PAuth). */
#ifndef ARCH_PAC_H
#define ARCH_PAC_H

#include "lib/types.h"

/* The bits of the guest kernel's addresses where codes are: see pac_set_tcr(). */
extern u64 pac_bits;

/*
 * The guest's kernel has this TCR_EL1. To be called before the guest's kernel is registered, hence
 * with each of its hypercalls; until then the codes are taken to have as many bits as they ever
 * can. Any CPU; takes no lock.
 */
void pac_set_tcr(u64 tcr_el1);

/*
 * The code address in a word of a stack or register, without its authentication code: the bits of
 * the code become what bit 55 is (Arm ARM D8.10, AddPAC and Strip).
 */
static inline u64 arch_strip_pac(u64 word)
{
	return word & 1ull << 55 ? word | pac_bits : word & ~pac_bits;
}

#endif
