// SPDX-License-Identifier: GPL-2.0-only
/* Each architecture's relocations and branches, as far as the helper needs them. */
#include <string.h>
#include "helper.h"

/* ---- x86-64 ---- */

static const struct reloc_kind x86_kinds[] = {
	{.type = R_X86_64_NONE},
	{.type = R_X86_64_64, .width = 8, .late = true},
	{.type = R_X86_64_32, .width = 4, .late = true},
	{.type = R_X86_64_32S, .width = 4, .late = true},
	{.type = R_X86_64_PC32, .width = 4, .relative = true, .late = true},
	{.type = R_X86_64_PLT32, .width = 4, .relative = true, .late = true},
	{.type = R_X86_64_PC64, .width = 8, .relative = true, .late = true},
};

/* How far from its variable's beginning or end a constant may be that a loop starts or ends with.
 */
#define LOOP_BIAS 8

/*
 * Is the displacement at `place` added to a register? The byte before it is then a ModRM byte with
 * mod 2, or an SIB byte behind one with mod 2, or with mod 0 and no base. A wrong "yes" does no
 * harm.
 */
static bool x86_is_indexed(const unsigned char *place, size_t before)
{
	if (before >= 1 && place[-1] >> 6 == 2 && (place[-1] & 7) != 4)
		return true;
	if (before < 2 || (place[-2] & 7) != 4)
		return false;
	return place[-2] >> 6 == 2 || (place[-2] >> 6 == 0 && (place[-1] & 7) == 5);
}

/* A displacement from the next instruction, to which an immediate operand may belong. */
static struct span x86_relative(bool to_code)
{
	return to_code ? (struct span){4, 4, false}
		       : (struct span){4 - LOOP_BIAS, 8 + LOOP_BIAS, false};
}

static struct span x86_code_span(const struct reloc_kind *kind, const unsigned char *place,
				 size_t before, bool to_code)
{
	if (kind->relative)
		return x86_relative(to_code);
	if (to_code)
		return (struct span){0, 0, false};
	return (struct span){-LOOP_BIAS, LOOP_BIAS, x86_is_indexed(place, before)};
}

static int64_t x86_at(const unsigned char *code, size_t left, size_t at)
{
	int32_t displacement;

	if (left < at + sizeof(displacement))
		return 0;
	memcpy(&displacement, code + at, sizeof(displacement));
	return (int64_t)(at + sizeof(displacement)) + displacement;
}

/*
 * Each byte is looked at as if an instruction began there: none is missed, and few others have a
 * displacement of 32 bits that leads into the section.
 */
static int64_t x86_branch(const unsigned char *code, size_t left, bool *weak)
{
	*weak = false;
	if (code[0] == 0xe8 || code[0] == 0xe9) /* CALL, JMP */
		return x86_at(code, left, 1);
	if (left < 2)
		return 0;
	if (code[0] == 0x0f && code[1] >> 4 == 8) /* Jcc */
		return x86_at(code, left, 2);
	*weak = true;
	if (code[0] == 0x8d && (code[1] & 0xc7) == 5) /* LEA from RIP */
		return x86_at(code, left, 2);
	if (code[0] == 0xeb || code[0] >> 4 == 7) /* JMP, Jcc with 8 bits */
		return 2 + (int8_t)code[1];
	return 0;
}

/* ---- arm64: "ELF for the Arm 64-bit Architecture", 5.7; the kernel's loader takes these ---- */

static const struct reloc_kind arm64_kinds[] = {
	{.type = R_AARCH64_NONE},
	{.type = R_AARCH64_ABS64, .width = 8, .late = true},
	{.type = R_AARCH64_ABS32, .width = 4, .late = true},
	{.type = R_AARCH64_ABS16, .width = 2},
	{.type = R_AARCH64_PREL64, .width = 8, .relative = true, .late = true},
	{.type = R_AARCH64_PREL32, .width = 4, .relative = true, .late = true},
	{.type = R_AARCH64_PREL16, .width = 2, .relative = true},
	{.type = R_AARCH64_MOVW_UABS_G0, .width = 4},
	{.type = R_AARCH64_MOVW_UABS_G0_NC, .width = 4},
	{.type = R_AARCH64_MOVW_UABS_G1, .width = 4},
	{.type = R_AARCH64_MOVW_UABS_G1_NC, .width = 4},
	{.type = R_AARCH64_MOVW_UABS_G2, .width = 4},
	{.type = R_AARCH64_MOVW_UABS_G2_NC, .width = 4},
	{.type = R_AARCH64_MOVW_UABS_G3, .width = 4},
	{.type = R_AARCH64_MOVW_SABS_G0, .width = 4},
	{.type = R_AARCH64_MOVW_SABS_G1, .width = 4},
	{.type = R_AARCH64_MOVW_SABS_G2, .width = 4},
	{.type = R_AARCH64_MOVW_PREL_G0, .width = 4, .relative = true},
	{.type = R_AARCH64_MOVW_PREL_G0_NC, .width = 4, .relative = true},
	{.type = R_AARCH64_MOVW_PREL_G1, .width = 4, .relative = true},
	{.type = R_AARCH64_MOVW_PREL_G1_NC, .width = 4, .relative = true},
	{.type = R_AARCH64_MOVW_PREL_G2, .width = 4, .relative = true},
	{.type = R_AARCH64_MOVW_PREL_G2_NC, .width = 4, .relative = true},
	{.type = R_AARCH64_MOVW_PREL_G3, .width = 4, .relative = true},
	{.type = R_AARCH64_LD_PREL_LO19, .width = 4, .relative = true},
	{.type = R_AARCH64_ADR_PREL_LO21, .width = 4, .relative = true, .late = true},
	{.type = R_AARCH64_ADR_PREL_PG_HI21,
	 .width = 4,
	 .relative = true,
	 .late = true,
	 .page = true},
	{.type = R_AARCH64_ADR_PREL_PG_HI21_NC, .width = 4, .relative = true, .page = true},
	{.type = R_AARCH64_ADD_ABS_LO12_NC, .width = 4, .late = true},
	{.type = R_AARCH64_LDST8_ABS_LO12_NC, .width = 4, .late = true},
	{.type = R_AARCH64_LDST16_ABS_LO12_NC, .width = 4, .late = true},
	{.type = R_AARCH64_LDST32_ABS_LO12_NC, .width = 4, .late = true},
	{.type = R_AARCH64_LDST64_ABS_LO12_NC, .width = 4, .late = true},
	{.type = R_AARCH64_LDST128_ABS_LO12_NC, .width = 4, .late = true},
	{.type = R_AARCH64_TSTBR14, .width = 4, .relative = true},
	{.type = R_AARCH64_CONDBR19, .width = 4, .relative = true},
	{.type = R_AARCH64_JUMP26, .width = 4, .relative = true, .late = true, .branch = true},
	{.type = R_AARCH64_CALL26, .width = 4, .relative = true, .late = true, .branch = true},
};

/*
 * Data without a name: an anchor from which others are reached, in the same instruction or a later
 * one (-fsection-anchors), or the array of a loop.
 */
static struct span arm64_code_span(const struct reloc_kind *kind, const unsigned char *place,
				   size_t before, bool to_code)
{
	(void)kind;
	(void)place;
	(void)before;
	return (struct span){0, 0, !to_code};
}

/* The signed field of `bits` bits at `lsb`, in units of four bytes. */
static int64_t arm64_distance(uint32_t insn, unsigned int lsb, unsigned int bits)
{
	return ((int64_t)((uint64_t)insn << (64 - lsb - bits)) >> (64 - bits)) * 4;
}

/* Arm ARM, C4.1 "A64 instruction set encoding". */
static int64_t arm64_branch(const unsigned char *code, size_t left, bool *weak)
{
	uint32_t insn;

	*weak = false;
	if (left < sizeof(insn))
		return 0;
	memcpy(&insn, code, sizeof(insn));
	if ((insn & 0x7c000000) == 0x14000000) /* B, BL */
		return arm64_distance(insn, 0, 26);
	if ((insn & 0xff000000) == 0x54000000 || (insn & 0x7e000000) == 0x34000000)
		return arm64_distance(insn, 5, 19); /* B.cond, BC.cond; CBZ, CBNZ */
	if ((insn & 0x7e000000) == 0x36000000)	    /* TBZ, TBNZ */
		return arm64_distance(insn, 5, 14);
	*weak = true;
	if ((insn & 0x9f000000) == 0x10000000) /* ADR */
		return arm64_distance(insn, 5, 19) | (insn >> 29 & 3);
	return 0;
}

static const struct arch arches[] = {
	{
		.machine = EM_X86_64,
		.none = R_X86_64_NONE,
		.kinds = x86_kinds,
		.nr_kinds = sizeof(x86_kinds) / sizeof(x86_kinds[0]),
		.code_span = x86_code_span,
		.branch = x86_branch,
		.insn_align = 1,
	},
	{
		.machine = EM_AARCH64,
		.none = R_AARCH64_NONE,
		.kinds = arm64_kinds,
		.nr_kinds = sizeof(arm64_kinds) / sizeof(arm64_kinds[0]),
		.code_span = arm64_code_span,
		.branch = arm64_branch,
		.insn_align = 4,
		.callback_entry = 12,
		.veneer_size = 16,
	},
};

const struct arch *arch_find(uint16_t machine)
{
	for (size_t i = 0; i < sizeof(arches) / sizeof(arches[0]); i++) {
		if (arches[i].machine == machine)
			return &arches[i];
	}
	return NULL;
}

const struct reloc_kind *arch_kind(const struct arch *arch, uint32_t type)
{
	for (size_t i = 0; i < arch->nr_kinds; i++) {
		if (arch->kinds[i].type == type)
			return &arch->kinds[i];
	}
	return NULL;
}
