/* SPDX-License-Identifier: GPL-2.0-only */
/* Branches in arm64's code. Pure: whoever includes it has the types. */
#ifndef SUTURE_AGENT_BRANCH_H
#define SUTURE_AGENT_BRANCH_H

/* Where the B or BL leads that stands there; 0: there is none. `left`: bytes of text from there. */
static inline unsigned long arch_direct_target(const u8 *at, unsigned long left)
{
	u32 insn = *(const u32 *)at;

	if (left < sizeof(insn) || (insn & 0x7c000000) != 0x14000000)
		return 0;
	return (unsigned long)at + ((s64)((u64)insn << 38) >> 36);
}

/* A load or store and a branch (linker), or ADRP, ADD and a branch (Linux's loader of modules). */
#define ARCH_VENEER_INSNS 3

/* Bytes of the veneer that branches back to `back`; 0: it is none. `left`: bytes of text from it.
 */
static inline unsigned long arch_veneer_size(unsigned long veneer, unsigned long left,
					     unsigned long back)
{
	unsigned long i;

	for (i = 4; i < 4 * ARCH_VENEER_INSNS && i < left; i += 4)
		if (arch_direct_target((const u8 *)veneer + i, left - i) == back)
			return i + 4;
	return 0;
}

/*
 * Cortex-A53's erratum 843419 forbids some instructions where they are: a branch is in their place,
 * to a veneer that executes them and branches back. Returns the next veneer in [text, text_end)
 * that code in [*at, end) branches to, with its bytes in *size, and moves *at behind that branch.
 * 0: there is none.
 */
static inline unsigned long arch_next_veneer(unsigned long *at, unsigned long end,
					     unsigned long text, unsigned long text_end,
					     unsigned long *size)
{
	while (*at < end) {
		unsigned long veneer = arch_direct_target((const u8 *)*at, end - *at);

		*at += 4;
		if (veneer < text || veneer >= text_end)
			continue;
		*size = arch_veneer_size(veneer, text_end - veneer, *at);
		if (*size)
			return veneer;
	}
	return 0;
}

#endif
