/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The fake's kernel signs return addresses: the authentication code is in bits 48 to 54 and 56 to
 * 63; bit 55 selects the half of the address space.
 */
#ifndef ARCH_PAC_H
#define ARCH_PAC_H

#include "lib/types.h"

#define FAKE_PAC_MASK 0xff7f000000000000ull

static inline u64 arch_strip_pac(u64 word)
{
	return word & (1ull << 55) ? word | FAKE_PAC_MASK : word & ~FAKE_PAC_MASK;
}

#endif
