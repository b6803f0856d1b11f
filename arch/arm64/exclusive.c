/* SPDX-License-Identifier: BSD-2-Clause */
#include "exclusive.h"
#include "lib/mutate.h"
#include "lib/string.h"

#define INSN_SIZE_LOG(i) ((i) >> 30)
#define INSN_PAIR	 (1u << 21) /* of words or doublewords: bit 31 is set */
#define INSN_RS(i)	 ((i) >> 16 & 31)
#define INSN_RT2(i)	 ((i) >> 10 & 31)
#define INSN_RT(i)	 ((i)&31)
#define REG_ZR		 31u

static bool is_exclusive(u32 insn, u32 kind)
{
	return (insn & 0x3fc00000) == kind && (!(insn & INSN_PAIR) || insn >> 31);
}

bool insn_is_store_exclusive(u32 insn)
{
	return is_exclusive(insn, 0x08000000);
}

bool insn_is_load_exclusive(u32 insn)
{
	return is_exclusive(insn, 0x08400000);
}

static bool is_same(const struct exclusive *a, const struct exclusive *b)
{
	return a->pc == b->pc && a->sp == b->sp && a->ttbr0 == b->ttbr0 &&
	       a->address == b->address && (a->writes == b->writes || MUTATION(exclusive_writes));
}

static void set_status(u64 *x, u32 insn, bool failed)
{
	if (INSN_RS(insn) != REG_ZR)
		x[INSN_RS(insn)] = failed;
}

static void store(const u64 *x, u32 reg, void *to, size_t size)
{
	u64 value = reg == REG_ZR ? 0 : x[reg];

	memcpy(to, &value, size);
}

bool exclusive_store(struct exclusive *last, const struct exclusive *now, u32 insn, u64 *x,
		     void *to)
{
	size_t size = 1u << INSN_SIZE_LOG(insn);
	bool again = is_same(last, now);

	if (again) {
		store(x, INSN_RT(insn), to, size);
		if (insn & INSN_PAIR)
			store(x, INSN_RT2(insn), (u8 *)to + size, size);
	}
	set_status(x, insn, !again);
	*last = *now;
	if (again)
		memset(last, 0, sizeof(*last));
	return again;
}
