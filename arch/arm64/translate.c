/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stage 1 of the guest, walked in software: the AT instructions fail while stage 2 is taken away
 * (kick.c). On the CPU whose tables they are, in its exit.
 */
#include "arch/cpu.h"
#include "el2.h"
#include "guest/ram.h"
#include "lib/errno.h"
#include "pt_format.h"
#include "stage2/pt.h"
#include "sysreg.h"

#define TCR_DS (1ull << 59) /* FEAT_LPA2: entries of another form */

/* With it bits 51 to 48 of the root's address are bits 5 to 2 (D19.2.144). */
#define TTBR_ROOT	0xffffffffffc0ull
#define TTBR_HIGH(ttbr) (((ttbr) >> 2 & 15) << 48)

/* One half of the address space, as TCR_EL1 has it (D19.2.136). */
struct half {
	u64 root;
	u32 bits, page_shift;
	bool off;
};

static struct half lower_half(u64 tcr)
{
	static const u8 shifts[] = {12, 16, 14, 0};

	return (struct half){read_sysreg(ttbr0_el1), 64 - (tcr & 63), shifts[tcr >> 14 & 3],
			     tcr >> 7 & 1};
}

static struct half upper_half(u64 tcr)
{
	static const u8 shifts[] = {0, 14, 12, 16};

	return (struct half){read_sysreg(ttbr1_el1), 64 - (tcr >> 16 & 63), shifts[tcr >> 30 & 3],
			     tcr >> 23 & 1};
}

static int read_entry(void *ctx, u64 table_pa, u32 index, u64 *entry)
{
	ipa_t at = IPA(table_pa + index * sizeof(*entry));

	(void)ctx;
	if (!guest_is_ram(at, sizeof(*entry)))
		return -EFAULT;
	*entry = READ_ONCE(*(const u64 *)guest_ram_ptr(at));
	return 0;
}

int arch_vcpu_translate(struct cpu *c, u64 va, ipa_t *ipa)
{
	u64 tcr = read_sysreg(tcr_el1), inside;
	struct half half = va >> 55 & 1 ? upper_half(tcr) : lower_half(tcr);
	bool lpa2 = tcr & TCR_DS;
	struct pt_format f;
	struct pt_walk w;

	(void)c;
	if (!(read_sysreg(sctlr_el1) & SCTLR_M)) {
		*ipa = IPA(va);
		return 0;
	}
	if (half.off || !guest_format(&f, half.bits, half.page_shift, lpa2))
		return -EFAULT;
	/* From the input size to bit 54 an address has copies of bit 55; above it there may be a
	 * tag. */
	inside = va & ((1ull << half.bits) - 1);
	if ((va ^ inside ^ (va >> 55 & 1 ? ~0ull << half.bits : 0)) << 8)
		return -EFAULT;
	if (pt_walk(&f, (half.root & TTBR_ROOT) | (lpa2 ? TTBR_HIGH(half.root) : 0), inside,
		    read_entry, NULL, &w))
		return -EFAULT;
	*ipa = IPA(w.pa);
	return 0;
}

bool arch_vcpu_can_fetch(struct cpu *c)
{
	u32 insn;
	ipa_t ipa;

	return !arch_vcpu_translate(c, c->arch->vcpu.elr, &ipa) &&
	       !guest_read_ipa(ipa, &insn, sizeof(insn));
}
