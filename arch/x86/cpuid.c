/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CPUID as the guest sees it (APM vol. 3, appendix E; SDM vol. 2, CPUID). In the registers below
 * the guest sees only the bits that the table names. A feature that the table does not know may
 * change how events are delivered, or add instructions that exit, or state that the monitor does
 * not save. Registers that are not listed pass.
 */
#include "policy.h"

#define BIT(n)	    (1u << (n))
#define BITS(n, to) (((2u << ((to) - (n))) - 1) << (n))

/* clang-format off */
const struct cpuid_rule cpuid_rules[] = {
	/*
	 * all but VMX, SMX (GETSEC exits, and can reset the machine), and what belongs to the debug
	 * store (2, 4; 21 of EDX: the processor may write its records while the CPU is in the
	 * monitor, to the guest's address on the monitor's tables)
	 */
	{1, 0, C, ~(BIT(2) | BIT(4) | BIT(5) | BIT(6))},
	{1, 0, D, ~BIT(21)},
	/* the number of the highest subleaf */
	{7, 0, A, ~0u},
	/*
	 * all but SGX (enclaves have exits of their own), processor trace (its output does not go
	 * through stage 2)
	 */
	{7, 0, B, ~(BIT(2) | BIT(25))},
	/*
	 * all but memory encryption (13: a key is in the physical address), bus lock #DB (24: it
	 * would be lost in a single step), SGX launch (30), and reserved bits (15, 26)
	 */
	{7, 0, C, BITS(0, 12) | BIT(14) | BITS(16, 23) | BIT(25) | BITS(27, 29) | BIT(31)},
	/*
	 * all but user interrupts (5: another way of delivery), PCONFIG (18: keys), and reserved
	 * bits
	 */
	{7, 0, D, BITS(2, 4) | BITS(8, 11) | BITS(13, 16) | BITS(19, 20) | BITS(22, 31)},
	/*
	 * all but FRED (17: other event delivery and stack frames), LKGS (18: part of FRED), NMI
	 * source (20), LAM (26: tags in pointers that the monitor reads), MSR lists (27: exits of
	 * their own); architectural perfmon and history reset are shown
	 */
	{7, 1, A, BITS(0, 8) | BITS(10, 12) | BIT(19) | BITS(21, 23) | BIT(30) | BIT(31)},
	/* all but total storage encryption (1) */
	{7, 1, B, BIT(0) | BIT(3)},
	/* none: 64-bit SIPI, MSR access by immediate, which has exits of its own */
	{7, 1, C, 0},
	/*
	 * all but user timer events (13), user MSR access (15: exits of its own), UIRET (17), APX
	 * (21: 16 more registers)
	 */
	{7, 1, D, BITS(4, 5) | BIT(8) | BIT(10) | BIT(14) | BITS(18, 19) | BIT(23)},
	{7, 2, A, 0},
	{7, 2, B, 0},
	{7, 2, C, 0},
	/* all but #AC of uncached locks (6) */
	{7, 2, D, BITS(0, 5) | BIT(7)},
	/* XCR0: the bits that xcr_allows() knows */
	{13, 0, A, XCR0_KNOWN},
	{13, 0, D, 0},
	/* supervisor state: all but trace (8), user interrupts (14) */
	{13, 1, C, BITS(9, 13) | BIT(15) | BIT(16)},
	/* all but SVM, SKINIT */
	{0x80000001, 0, C, BITS(0, 1) | BITS(3, 11) | BIT(13) | BITS(15, 17) | BIT(19) |
			   BITS(21, 30)},
	/* all but INVLPGB (3, 21: in a guest it needs an intercept or a permission) */
	{0x80000008, 0, B, BITS(0, 2) | BIT(4) | BIT(6) | BITS(8, 9) | BITS(12, 20) | BITS(23, 31)},
	/* all but UAI (7: tags in pointers, as LAM), ERAPS (24: needs a bit of the VMCB) */
	{0x80000021, 0, A, BITS(0, 3) | BIT(6) | BITS(8, 20) | BIT(22) | BITS(27, 31)},
};
/* clang-format on */
const u32 nr_cpuid_rules = ARRAY_SIZE(cpuid_rules);

/* Leaves that describe features hidden above: they read as zeros. */
static const u32 hidden_leaves[] = {
	0x12,	    /* SGX */
	0x14,	    /* processor trace */
	0x1b,	    /* PCONFIG */
	0x8000000a, /* SVM, with AVIC and x2AVIC */
	0x8000001f, /* memory encryption: a guest's page tables have no bit for it */
	0x80000023, /* memory encryption with several keys */
	0x80000025, /* memory encryption of guests */
};

#define FN1_ECX_OSXSAVE BIT(27)
#define FN7_ECX_OSPKE	BIT(4)
#define FN7_LAST	2 /* subleaf in the table */

static bool is_hidden(u32 leaf, u32 subleaf)
{
	for (u32 i = 0; i < ARRAY_SIZE(hidden_leaves); i++)
		if (leaf == hidden_leaves[i])
			return true;
	return leaf == 7 && subleaf > FN7_LAST;
}

static u32 set_if(u32 word, u32 bit, u64 condition)
{
	return condition ? word | bit : word & ~bit;
}

/* The subleaf is compared where the table has rules by subleaf; elsewhere a rule applies to all. */
static bool applies(const struct cpuid_rule *rule, u32 leaf, u32 subleaf)
{
	return rule->leaf == leaf && (rule->subleaf == subleaf || (leaf != 7 && leaf != 13));
}

struct cpuid cpuid_filter(u32 leaf, u32 subleaf, struct cpuid raw, u64 cr4)
{
	u32 *const reg[] = {[A] = &raw.eax, [B] = &raw.ebx, [C] = &raw.ecx, [D] = &raw.edx};

	if (is_hidden(leaf, subleaf))
		return (struct cpuid){0};
	for (u32 i = 0; i < nr_cpuid_rules; i++)
		if (applies(&cpuid_rules[i], leaf, subleaf))
			*reg[cpuid_rules[i].reg] &= cpuid_rules[i].show;
	/*
	 * Two bits mirror CR4: the processor has read the monitor's CR4, the guest gets those of
	 * its own.
	 */
	if (leaf == 1)
		raw.ecx = set_if(raw.ecx, FN1_ECX_OSXSAVE, cr4 & CR4_OSXSAVE);
	if (leaf == 7 && subleaf == 0) {
		raw.ecx = set_if(raw.ecx, FN7_ECX_OSPKE, cr4 & CR4_PKE);
		raw.eax = MIN(raw.eax, (u32)FN7_LAST);
	}
	return raw;
}
