/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What Linux makes of a module's code on arm64. In its arch/arm64/kernel/, `module` has the
 * relocations, `module-plts` the veneers, and `alternative`, `jump_label` and `ftrace` the places
 * of tables.
 */
#include "arch/text.h"
#include "insn.h"
#include "lib/errno.h"
#include "lib/string.h"

/* ELF for the Arm 64-bit Architecture, 5.7 */
enum {
	R_NONE = 0,
	R_ABS64 = 257,
	R_PREL64 = 260,
	R_PREL32 = 261,
	R_LD_PREL_LO19 = 273,
	R_ADR_LO21 = 274,
	R_ADR_PG_HI21 = 275,
	R_ADR_PG_HI21_NC = 276,
	R_ADD_LO12 = 277,
	R_LDST8_LO12 = 278,
	R_TSTBR14 = 279,
	R_CONDBR19 = 280,
	R_JUMP26 = 282,
	R_CALL26 = 283,
	R_LDST16_LO12 = 284,
	R_LDST32_LO12 = 285,
	R_LDST64_LO12 = 286,
	R_LDST128_LO12 = 299,
};

#define IMM12_SHIFT 10u
#define IMM12	    (0xfffull << IMM12_SHIFT)
#define IMM19	    (0x7ffffull << 5)
#define IMM14	    (0x3fffull << 5)
#define IMM26	    0x3ffffffull
#define IMM_ADR	    (IMM19 | 3ull << 29)
#define IS_ADRP	    (1u << 31) /* ADR and ADRP differ in it */

static u32 insn_at(const u8 *code)
{
	u32 insn;

	memcpy(&insn, code, sizeof(insn));
	return insn;
}

/* The signed field of `bits` bits at `lsb`. */
static u64 immediate(u32 insn, u32 lsb, u32 bits)
{
	return (u64)((s64)((u64)insn << (64 - lsb - bits)) >> (64 - bits));
}

static u64 adr_immediate(u32 insn)
{
	return immediate(insn, 5, 19) << 2 | (insn >> 29 & 3);
}

static u64 adrp_target(u32 insn, u64 at)
{
	return (at & ~0xfffull) + (adr_immediate(insn) << 12);
}

/* The instruction's field, shifted left by `scale`, is the low part of the address. */
static void low_field(struct text_field *f, u32 insn, u32 scale)
{
	f->bits = IMM12;
	f->value = (u64)(insn >> IMM12_SHIFT & 0xfff) << scale & 0xfff;
	f->known = 0xfff;
}

static void near_field(struct text_field *f, u32 insn, u64 at, u64 bits, u32 lsb, u32 width)
{
	f->bits = bits;
	f->value = at + (immediate(insn, lsb, width) << 2);
}

int arch_text_field(u32 type, u64 at, const u8 code[TEXT_FIELD_MAX], struct text_field *f)
{
	u32 insn = insn_at(code);
	u64 v;

	memcpy(&v, code, sizeof(v));
	*f = (struct text_field){.size = 4, .known = ~0ull};
	switch (type) {
	case R_NONE:
	case 256: /* the same, of old */
		f->size = 0;
		return 0;
	case R_ABS64:
	case R_PREL64:
		f->size = 8;
		f->bits = ~0ull;
		f->value = v + (type == R_PREL64 ? at : 0);
		return 0;
	case R_PREL32:
		f->bits = 0xffffffff;
		f->value = at + immediate(insn, 0, 32);
		return 0;
	case R_ADR_LO21:
		f->bits = IMM_ADR;
		f->value = at + adr_immediate(insn);
		return 0;
	case R_ADR_PG_HI21:
	case R_ADR_PG_HI21_NC:
		f->bits = IMM_ADR;
		f->value = adrp_target(insn, at);
		f->known = ~0xfffull;
		/* for erratum 843419 of Cortex-A53 the kernel makes it an ADR of the page */
		if (!(insn & IS_ADRP) && !((at + adr_immediate(insn)) & 0xfff)) {
			f->bits |= IS_ADRP;
			f->value = at + adr_immediate(insn);
		}
		return 0;
	case R_ADD_LO12:
	case R_LDST8_LO12:
		low_field(f, insn, 0);
		return 0;
	case R_LDST16_LO12:
		low_field(f, insn, 1);
		return 0;
	case R_LDST32_LO12:
		low_field(f, insn, 2);
		return 0;
	case R_LDST64_LO12:
		low_field(f, insn, 3);
		return 0;
	case R_LDST128_LO12:
		low_field(f, insn, 4);
		return 0;
	case R_LD_PREL_LO19:
	case R_CONDBR19:
		near_field(f, insn, at, IMM19, 5, 19);
		return 0;
	case R_TSTBR14:
		near_field(f, insn, at, IMM14, 5, 14);
		return 0;
	case R_JUMP26:
	case R_CALL26:
		near_field(f, insn, at, IMM26, 0, 26);
		f->branch = f->is_code = true;
		return 0;
	}
	return -EOPNOTSUPP;
}

/* The kernel's and the agent's alike: ADRP X16, ADD X16, BR X16. */
u64 arch_text_veneer(const u8 code[TEXT_VENEER_LEN], u64 at)
{
	u32 page = insn_at(code), low = insn_at(code + INSN_LEN);

	if ((page & 0x9f00001f) != INSN_ADRP_IP0 || (low & ~(u32)IMM12) != INSN_ADD_IP0 ||
	    insn_at(code + 2 * INSN_LEN) != INSN_BR_IP0)
		return 0;
	return adrp_target(page, at) + (low >> IMM12_SHIFT & 0xfff);
}

/* The kernel clears a module's memory. */
u32 arch_text_filler(const u8 *code, size_t left, u64 at)
{
	if (left < INSN_LEN)
		return !code[0];
	if (!insn_at(code) || insn_at(code) == INSN_NOP)
		return INSN_LEN;
	return left >= TEXT_VENEER_LEN && arch_text_veneer(code, at) ? TEXT_VENEER_LEN : 0;
}

/* ---- the tables ---- */

enum kind { KIND_ALTERNATIVE, KIND_KEY, KIND_TRACER };

static const struct text_table tables[] = {
	{".altinstructions", KIND_ALTERNATIVE, 12, 0, true, false},
	{"__jump_table", KIND_KEY, 16, 0, false, false},
	{"__patchable_function_entries", KIND_TRACER, 8, 0, false, false},
};

const struct text_table *arch_text_tables(u32 *count)
{
	*count = ARRAY_SIZE(tables);
	return tables;
}

/* struct alt_instr ends with the lengths of the site and of its replacement. */
#define ALT_LEN		10u
#define ALT_REPLACEMENT 11u

#define TRACER_LEN (2 * INSN_LEN) /* two instructions */
#define OPS_LEN	   8u		  /* CALL_OPS, from 6.4 on: a pointer before the function */

static bool has_nops(const u8 *code)
{
	return insn_at(code) == INSN_NOP && insn_at(code + INSN_LEN) == INSN_NOP;
}

/* The offset of the second pair of NOPs, where the first one is in front of a function; or 0. */
static u32 second_pair(const struct text_site *s)
{
	u32 at = TRACER_LEN;

	if (s->left < TRACER_LEN + INSN_LEN)
		return 0;
	if (insn_at(s->own + at) == INSN_BTI_C)
		at += INSN_LEN;
	return s->left >= at + TRACER_LEN && has_nops(s->own + at) ? at : 0;
}

u32 arch_text_site_len(const struct text_site *s)
{
	switch (s->kind) {
	case KIND_ALTERNATIVE:
		return s->entry[ALT_LEN] % INSN_LEN ? 0 : s->entry[ALT_LEN];
	case KIND_KEY:
		return s->left < INSN_LEN ? 0 : (u32)INSN_LEN;
	case KIND_TRACER:
		if (s->left < TRACER_LEN || !has_nops(s->own))
			return 0;
		return second_pair(s) + (u32)TRACER_LEN;
	}
	return 0;
}

static bool is_nop(const u8 *code, u32 len)
{
	for (u32 i = 0; i < len; i += INSN_LEN)
		if (insn_at(code + i) != INSN_NOP)
			return false;
	return true;
}

/* The bits of a branch with an immediate that are its distance; 0: it is none. */
static u32 distance_bits(u32 insn)
{
	if (insn_is_branch(insn))
		return (u32)IMM26;
	if ((insn & 0xff000000) == 0x54000000 || (insn & 0x7e000000) == 0x34000000)
		return (u32)IMM19;
	return (insn & 0x7e000000) == 0x36000000 ? (u32)IMM14 : 0;
}

static u64 branch_to(u32 insn, u32 bits, u64 at)
{
	u32 lsb = bits == IMM26 ? 0 : 5, width = bits == IMM26 ? 26 : bits == IMM19 ? 19 : 14;

	return at + (immediate(insn, lsb, width) << 2);
}

/*
 * get_alt_insn(): a branch out of the replacement, which lies at `from`, leads to the same place
 * from the site. One with a relocation is compared already.
 */
static bool is_moved(const struct text_site *s, u32 i, u32 insn, u32 now, u64 from, u32 len)
{
	u32 bits = distance_bits(insn);
	u64 to = branch_to(insn, bits, from + i), leads_to = branch_to(now, bits, s->at + i);

	if (!bits || to - from < len || s->refers(s, 1, i, leads_to))
		return insn == now;
	return !((insn ^ now) & ~bits) && leads_to == to;
}

static bool fits_alternative(const struct text_site *s)
{
	u32 len = s->entry[ALT_REPLACEMENT];
	u64 from = s->address(s, 1);
	u8 code[TEXT_SITE_MAX];

	if (s->expect(s, 0, code, s->len) && !memcmp(code, s->now, s->len))
		return true;
	/* without a replacement a function of the kernel makes one: in modules, NOPs */
	if (!len)
		return is_nop(s->now, s->len);
	if (len != s->len || !s->expect(s, 1, code, len))
		return false;
	for (u32 i = 0; i < len; i += INSN_LEN) {
		if (!is_moved(s, i, insn_at(code + i), insn_at(s->now + i), from, len))
			return false;
	}
	return true;
}

static bool fits_key(const struct text_site *s)
{
	u32 insn = insn_at(s->now);

	return insn == INSN_NOP ||
	       (insn_is_b(insn) && insn_branch_target(insn, s->at) == s->address(s, 1));
}

/* A function's two NOPs: as they were, or MOV X9, LR and a NOP or BL into a tracer. */
static bool is_tracer(const struct text_site *s, u32 at)
{
	u32 first = insn_at(s->now + at), second = insn_at(s->now + at + INSN_LEN);

	if (first != INSN_NOP && first != INSN_MOV_X9_LR)
		return false;
	return second == INSN_NOP ||
	       (first == INSN_MOV_X9_LR && insn_is_call(second) && insn_is_branch(second) &&
		s->is_code(insn_branch_target(second, s->at + at + INSN_LEN)));
}

static bool fits_tracer(const struct text_site *s)
{
	u32 second = second_pair(s);
	u64 ops;

	if (!second)
		return is_tracer(s, 0);
	memcpy(&ops, s->now, sizeof(ops));
	return (has_nops(s->now) || (s64)ops < 0) &&
	       !memcmp(s->now + OPS_LEN, s->own + OPS_LEN, second - OPS_LEN) &&
	       is_tracer(s, second);
}

bool arch_text_site_fits(const struct text_site *s)
{
	switch (s->kind) {
	case KIND_ALTERNATIVE:
		return fits_alternative(s);
	case KIND_KEY:
		return fits_key(s);
	case KIND_TRACER:
		return fits_tracer(s);
	}
	return false;
}

bool arch_text_is_probe(const u8 *text, u64 at, u64 size)
{
	u64 from = ALIGN_DOWN(at, INSN_LEN);

	return at < size && size - from >= INSN_LEN && insn_is_breakpoint(insn_at(text + from));
}

bool arch_text_counts_calls(const u8 code[TEXT_CALLED_LEN])
{
	(void)code;
	return false;
}
