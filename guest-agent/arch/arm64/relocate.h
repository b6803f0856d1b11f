/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Relocations of arm64, and veneers for branches. Pure: whoever includes it has the types, errno
 * and ELF's numbers.
 */
#ifndef SUTURE_AGENT_RELOCATE_H
#define SUTURE_AGENT_RELOCATE_H

/* ---- relocations: "ELF for the Arm 64-bit Architecture", 5.7 ---- */

#define ARCH_VENEER_SIZE 16 /* bytes of a branch that reaches 4 GiB */

static inline s64 arch_pages(unsigned long to, unsigned long from)
{
	return (s64)(to >> 12) - (s64)(from >> 12);
}

static inline bool arch_fits(s64 value, unsigned int bits)
{
	return value >= -(1ll << (bits - 1)) && value < 1ll << (bits - 1);
}

/* The instruction with `bits` bits of the value at `lsb`. */
static inline u32 arch_insert(u32 insn, u64 value, unsigned int lsb, unsigned int bits)
{
	u32 mask = ((1u << bits) - 1) << lsb;

	return (insn & ~mask) | ((u32)value << lsb & mask);
}

static inline int arch_insert_adr(u32 *insn, s64 value)
{
	if (!arch_fits(value, 21))
		return -ERANGE;
	*insn = arch_insert(arch_insert(*insn, value, 29, 2), value >> 2, 5, 19);
	return sizeof(*insn);
}

static inline int arch_insert_branch(u32 *insn, s64 distance)
{
	if (!arch_fits(distance, 28) || distance & 3)
		return -ERANGE;
	*insn = arch_insert(*insn, distance >> 2, 0, 26);
	return sizeof(*insn);
}

/* The low 12 bits of an address in a load or store of 1 << scale bytes, or in ADD. */
static inline int arch_insert_low(u32 *insn, unsigned long value, unsigned int scale)
{
	if (value & ((1u << scale) - 1))
		return -ERANGE;
	*insn = arch_insert(*insn, (value & 0xfff) >> scale, 10, 12);
	return sizeof(*insn);
}

static inline int arch_relocate_insn(u32 type, unsigned long place, unsigned long value, u32 *insn)
{
	switch (type) {
	case R_AARCH64_JUMP26:
	case R_AARCH64_CALL26:
		return arch_insert_branch(insn, value - place);
	case R_AARCH64_ADR_PREL_LO21:
		return arch_insert_adr(insn, value - place);
	case R_AARCH64_ADR_PREL_PG_HI21:
		return arch_insert_adr(insn, arch_pages(value, place));
	case R_AARCH64_ADD_ABS_LO12_NC:
	case R_AARCH64_LDST8_ABS_LO12_NC:
		return arch_insert_low(insn, value, 0);
	case R_AARCH64_LDST16_ABS_LO12_NC:
		return arch_insert_low(insn, value, 1);
	case R_AARCH64_LDST32_ABS_LO12_NC:
		return arch_insert_low(insn, value, 2);
	case R_AARCH64_LDST64_ABS_LO12_NC:
		return arch_insert_low(insn, value, 3);
	case R_AARCH64_LDST128_ABS_LO12_NC:
		return arch_insert_low(insn, value, 4);
	}
	return -ENOEXEC;
}

/*
 * The bytes that a relocation of that type puts at `place`, where `value` is symbol plus addend;
 * `bytes` has what stands there. How many, at most 8; -ENOEXEC: the type is not known; -ERANGE: it
 * does not reach.
 */
static inline int arch_relocate(u32 type, unsigned long place, unsigned long value, u8 *bytes)
{
	s64 v = type == R_AARCH64_ABS64 || type == R_AARCH64_ABS32 ? value : value - place;
	int len;
	u32 insn;

	switch (type) {
	case R_AARCH64_ABS64:
	case R_AARCH64_PREL64:
		memcpy(bytes, &v, sizeof(v));
		return 8;
	case R_AARCH64_ABS32:
	case R_AARCH64_PREL32:
		memcpy(bytes, &v, 4);
		return arch_fits(v, 32) ? 4 : -ERANGE;
	}
	memcpy(&insn, bytes, sizeof(insn));
	len = arch_relocate_insn(type, place, value, &insn);
	memcpy(bytes, &insn, sizeof(insn));
	return len;
}

/*
 * A relocation that -ERANGE says does not reach may reach a veneer. It changes only X16 and X17, as
 * the AAPCS64 allows between functions, and BR X16 is a branch that BTI's landing pads for calls
 * take.
 */
static inline bool arch_takes_veneer(u32 type)
{
	return type == R_AARCH64_JUMP26 || type == R_AARCH64_CALL26;
}

/* ADRP X16, value; ADD X16, X16, low bits; BR X16. -ERANGE. */
static inline int arch_make_veneer(unsigned long place, unsigned long value,
				   u8 bytes[ARCH_VENEER_SIZE])
{
	u32 code[ARCH_VENEER_SIZE / 4] = {0x90000010, 0x91000210, 0xd61f0200, 0xd503201f};
	int len = arch_insert_adr(&code[0], arch_pages(value, place));

	arch_insert_low(&code[1], value, 0);
	memcpy(bytes, code, sizeof(code));
	return len < 0 ? len : 0;
}

#endif
