/* SPDX-License-Identifier: BSD-2-Clause */
/* Return addresses of the guest may carry an authentication code (FEAT_PAuth). */
#ifndef ARCH_PAC_H
#define ARCH_PAC_H

#include "lib/types.h"

/*
 * The code address in a word of a stack or register, without its authentication code. The code is
 * in the bits above the virtual address, but for bit 55, which tells the halves apart (Arm ARM
 * D8.10); so they all become what bit 55 is. Addresses have 48 bits here: kernels with more
 * (FEAT_LVA) use the bits from 48 on for 52.
 */
static inline u64 arch_strip_pac(u64 word)
{
	const u64 above = 0xffffull << 48;

	return word & 1ull << 55 ? word | above : word & ~above;
}

#endif
