/* SPDX-License-Identifier: BSD-2-Clause */
#include "include/arch/pac.h"
#include "lib/mutate.h"

/*
 * A code takes the bits from the size of virtual addresses up, but for bit 55, which tells the
 * halves apart (Arm ARM D8.10). The top byte too: where it is a tag (TBI1) it holds no code, but
 * then addresses of code have all ones there anyway.
 */
#define CODE_BITS(va_bits) (~0ull << (va_bits) & ~(1ull << 55))

/* The smallest size that Linux has: ARM64_VA_BITS_36. A larger mask can only make a false hit. */
u64 pac_bits = CODE_BITS(MUTATION(widest_codes) ? 48 : 36);

#define TCR_T1SZ(tcr) ((tcr) >> 16 & 63) /* D19.2: the kernel's half has 64 - T1SZ bits */

void pac_set_tcr(u64 tcr_el1)
{
	u64 size = TCR_T1SZ(tcr_el1);

	WRITE_ONCE(pac_bits,
		   CODE_BITS(MUTATION(size_of_codes) ? 36 : 64 - (size < 12 ? 12 : size)));
}
