/* SPDX-License-Identifier: BSD-2-Clause */
/* Control registers and XCR0: what the guest may set. */
#include "policy.h"

/* SDM vol. 3, 2.5; APM vol. 2, 3.1. */
const struct cr_rule cr_rules[] = {
	/*
	 * PE, MP, EM, TS, ET; WP, AM; NW, CD, PG: all modes are allowed, and the guest controls its
	 * caches
	 */
	{0, PASS, 0x1full | CR0_WP | 1ull << 18 | CR0_NW | CR0_CD | CR0_PG},
	/* VMX operation needs it set ("VMX-Fixed Bits in CR0") */
	{0, MIRROR, CR0_NE},
	/* VME, PVI, TSD, DE, PSE, PAE, MCE, PGE, PCE, OSFXSR, OSXMMEXCPT, UMIP, LA57 */
	{4, PASS, 0x1fffull},
	/* FSGSBASE, PCIDE, OSXSAVE, KL, SMEP, SMAP, PKE, CET, PKS, LASS */
	{4, PASS,
	 1ull << 16 | 1ull << 17 | CR4_OSXSAVE | 1ull << 19 | CR4_SMEP | CR4_SMAP | CR4_PKE |
		 1ull << 23 | 1ull << 24 | 1ull << 27},
	/*
	 * Not listed: VMXE and SMXE (for the monitor alone; VMX operation needs VMXE set, and the
	 * guest reads 0), UINTR, LAM_SUP and FRED, which CPUID does not show, and bits of later
	 * processors.
	 */
};
const u32 nr_cr_rules = ARRAY_SIZE(cr_rules);

static u64 bits_of(u32 cr, bool passing_only)
{
	u64 bits = 0;

	for (u32 i = 0; i < nr_cr_rules; i++)
		if (cr_rules[i].cr == cr && (cr_rules[i].policy == PASS || !passing_only))
			bits |= cr_rules[i].bits;
	return bits;
}

u64 cr_owned(u32 cr)
{
	return ~bits_of(cr, true);
}

bool cr_allows(u32 cr, u64 value)
{
	return !(value & ~bits_of(cr, false));
}

#define AVX512 (XCR0_OPMASK | XCR0_ZMM_HIGH | XCR0_ZMM_UPPER)
#define MPX    (XCR0_BNDREGS | XCR0_BNDCSR)
#define AMX    (XCR0_TILECFG | XCR0_TILEDATA)

bool xcr_allows(u32 index, u64 value, u64 supported)
{
	static const struct {
		u64 any, needs;
	} rules[] = {
		{XCR0_AVX, XCR0_SSE},
		{AVX512, AVX512 | XCR0_AVX},
		{MPX, MPX},
		{AMX, AMX},
	};

	if (index || !(value & XCR0_X87) || value & ~(supported & XCR0_KNOWN))
		return false;
	for (u32 i = 0; i < ARRAY_SIZE(rules); i++)
		if ((value & rules[i].any) && (value & rules[i].needs) != rules[i].needs)
			return false;
	return true;
}
