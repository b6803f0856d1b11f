/* SPDX-License-Identifier: BSD-2-Clause */
/* A64 instructions that the kernel patches, or that redirects are made of (Arm ARM DDI 0487, C6.2).
 */
#ifndef ARM64_INSN_H
#define ARM64_INSN_H

#include "lib/types.h"

#define INSN_LEN 4ull

#define INSN_NOP       0xd503201fu
#define INSN_BTI_C     0xd503245fu
#define INSN_BTI_JC    0xd50324dfu
#define INSN_PACIASP   0xd503233fu
#define INSN_PACIBSP   0xd503237fu
#define INSN_MOV_X9_LR 0xaa1e03e9u /* ORR X9, XZR, X30 */

/* IP0: a callee may not rely on it (AAPCS64, IHI 0055, 6.1.1) */
#define INSN_IP0 16u

#define INSN_ADD_IP0  (0x91000000u | INSN_IP0 << 5 | INSN_IP0) /* ADD (immediate) */
#define INSN_ADRP_IP0 (0x90000000u | INSN_IP0)
#define INSN_BR_IP0   (0xd61f0000u | INSN_IP0 << 5)
#define INSN_RET_IP0  (0xd65f0000u | INSN_IP0 << 5)

#define B_REACH	   (128ll << 20) /* of B and BL, to both sides */
#define ADRP_REACH (4ll << 30)	 /* of ADRP, from page to page */

static inline bool insn_is_b(u32 insn)
{
	return (insn & 0xfc000000) == 0x14000000;
}

/* B or BL */
static inline bool insn_is_branch(u32 insn)
{
	return (insn & 0x7c000000) == 0x14000000;
}

/* BL, BLR, or BLRAA and its like, which authenticate the address first. */
static inline bool insn_is_call(u32 insn)
{
	return (insn & 0xfc000000) == 0x94000000 || (insn & 0xfffffc1f) == 0xd63f0000 ||
	       (insn & 0xfefff800) == 0xd63f0800;
}

static inline bool insn_b_reaches(u64 from, u64 to)
{
	s64 distance = (s64)(to - from);

	return distance >= -B_REACH && distance < B_REACH && distance % (s64)INSN_LEN == 0;
}

static inline u32 insn_b(u64 from, u64 to)
{
	return 0x14000000 | (u32)((to - from) / INSN_LEN & 0x3ffffff);
}

/* Where the B or BL at that address leads: a signed word count in 26 bits. */
static inline u64 insn_branch_target(u32 insn, u64 at)
{
	return at + (u64)((s64)((u64)insn << 38) >> 36);
}

/* From page to page. */
static inline bool insn_adrp_reaches(u64 from, u64 to)
{
	s64 distance = (s64)((to & PAGE_MASK) - (from & PAGE_MASK));

	return distance >= -ADRP_REACH && distance < ADRP_REACH;
}

static inline u32 insn_adrp_ip0(u64 from, u64 to)
{
	u64 pages = ((to & PAGE_MASK) - (from & PAGE_MASK)) / PAGE_SIZE;

	return INSN_ADRP_IP0 | (u32)(pages & 3) << 29 | (u32)(pages >> 2 & 0x7ffff) << 5;
}

/*
 * BRK as kprobes and kgdb put it over an instruction (Linux: asm/brk-imm.h). That with which the
 * kernel stops itself (BUG and others) is code like any.
 */
static inline bool insn_is_breakpoint(u32 insn)
{
	return insn == (0xd4200000 | 0x004 << 5) || insn == (0xd4200000 | 0x400 << 5);
}

/* May an indirect call or a BR X16 lead here on a page that BTI guards (Arm ARM D8.4.5)? */
static inline bool insn_is_landing_pad(u32 insn)
{
	return insn == INSN_BTI_C || insn == INSN_BTI_JC || insn == INSN_PACIASP ||
	       insn == INSN_PACIBSP;
}

#endif
