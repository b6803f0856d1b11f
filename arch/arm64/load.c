/* SPDX-License-Identifier: BSD-2-Clause */
#include "load.h"
#include "exception.h"
#include "exclusive.h"
#include "lib/mutate.h"
#include "lib/string.h"

#define REG_ZR	  31u /* as a base: SP */
#define LOAD_REGS 2u

/* One or two registers, which are loaded from addresses in a row. */
struct decoded {
	u32 regs, to[LOAD_REGS];
	u32 size; /* of each */
	bool sign, wide;
	u32 base;	/* this register is changed (pre- or post-index), unless it is REG_ZR */
	s64 write_back; /* by so much */
};

/* ---- of which registers ---- */

/* ISS of a data abort (D19.2.37). */
static bool decode_syndrome(u64 esr, struct decoded *d)
{
	*d = (struct decoded){.regs = 1,
			      .to = {ISS_SRT(esr)},
			      .size = 1u << ISS_SAS(esr),
			      .sign = esr & ISS_SSE,
			      .wide = esr & ISS_SF,
			      .base = REG_ZR};
	return esr & ISS_ISV;
}

#define INSN_RT(i)     ((i)&31)
#define INSN_RN(i)     ((i) >> 5 & 31)
#define INSN_RT2(i)    ((i) >> 10 & 31)
#define INSN_IMM7(i)   ((s32)((i) << 10) >> 25)
#define INSN_INDEX(i)  ((i) >> 23 & 3)
#define INDEX_POST     1
#define INDEX_PRE      3
#define INSN_PAIR_X    (1u << 31)
#define INSN_PAIR_SW   (1u << 30)
#define EXCLUSIVE_PAIR (1u << 21)

/* Does the instruction load from there? Not known of SP as a base; above bit 55 there may be a tag.
 */
static bool is_at(const struct load *l, s64 offset)
{
	u32 base = INSN_RN(l->insn);

	return base != REG_ZR && !(((l->x[base] + (u64)offset) ^ l->far) << 8);
}

/* LDP, LDPSW, LDNP (C4.1.94, "Load/store register pair") */
static bool decode_pair(const struct load *l, struct decoded *d)
{
	u32 insn = l->insn, index = INSN_INDEX(insn), size = insn & INSN_PAIR_X ? 8 : 4;
	s64 offset = (s64)INSN_IMM7(insn) * size;
	bool changes = index == INDEX_POST || index == INDEX_PRE;

	*d = (struct decoded){.regs = 2,
			      .to = {INSN_RT(insn), INSN_RT2(insn)},
			      .size = size,
			      .sign = insn & INSN_PAIR_SW,
			      .wide = insn & (INSN_PAIR_X | INSN_PAIR_SW),
			      .base = changes ? INSN_RN(insn) : REG_ZR,
			      .write_back = offset};
	return (insn & 0x3e400000) == 0x28400000 && is_at(l, index == INDEX_POST ? 0 : offset);
}

static bool decode_exclusive(const struct load *l, struct decoded *d)
{
	u32 insn = l->insn;

	*d = (struct decoded){.regs = insn & EXCLUSIVE_PAIR ? 2 : 1,
			      .to = {INSN_RT(insn), INSN_RT2(insn)},
			      .size = 1u << (insn >> 30),
			      .wide = true,
			      .base = REG_ZR};
	return insn_is_load_exclusive(insn) && is_at(l, 0);
}

/* ---- the access ---- */

static u64 load_register(const struct decoded *d, const u8 *from)
{
	u32 unused = 64 - 8 * d->size;
	u64 value = 0;

	/* CPUs write there in pauses only: it is one access, whatever memcpy() makes of it. */
	memcpy(&value, from, d->size);
	if (d->sign)
		value = (u64)((s64)(value << unused) >> unused);
	return d->wide || MUTATION(loads_of_words) ? value : (u32)value;
}

static void load_registers(const struct load *l, const struct decoded *d)
{
	const u8 *from = (const u8 *)l->page + (l->far & ~PAGE_MASK);

	if (d->base != REG_ZR)
		l->x[d->base] += (u64)d->write_back;
	for (u32 i = 0; i < d->regs; i++)
		if (d->to[i] != REG_ZR)
			l->x[d->to[i]] = load_register(d, from + i * d->size);
	/* It may be a load-acquire. */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
}

/*
 * FAR_EL2 is the lowest address that was refused. If that is the start of a page the load may have
 * begun on the page before.
 */
static bool may_begin_before(u64 far, const struct decoded *d)
{
	return !(far & ~PAGE_MASK) && d->size > 1 && !MUTATION(loads_across_pages);
}

bool load_carry_out(const struct load *l)
{
	struct decoded d;

	if (ESR_EC(l->esr) != EC_DABT_LOWER || (l->esr & (ISS_WNR | ISS_CM)))
		return false;
	if (decode_syndrome(l->esr, &d)) {
		if (may_begin_before(l->far, &d))
			return false;
	} else if (!decode_pair(l, &d) && !decode_exclusive(l, &d)) {
		return false;
	}
	if ((l->far & ~PAGE_MASK) + d.regs * d.size > PAGE_SIZE)
		return false;
	load_registers(l, &d);
	return true;
}
