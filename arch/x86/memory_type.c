/* SPDX-License-Identifier: BSD-2-Clause */
#include "memory_type.h"
#include "arch/pagetable.h"
#include "insn.h"

#define MTRR_CAP_COUNT(v)  ((v)&0xff)
#define MTRR_CAP_FIXED	   (1ull << 8)
#define MTRR_DEFAULT_FIXED (1ull << 10)
#define MTRR_DEFAULT_ON	   (1ull << 11)
#define MTRR_VALID	   (1ull << 11)
#define MIB		   (1ull << 20)

static struct mtrr_state states[2];
const struct mtrr_state *memory_types = &states[0];

void memory_types_set(const struct mtrr_state *s)
{
	struct mtrr_state *other = &states[memory_types == &states[0]];

	*other = *s;
	__atomic_store_n(&memory_types, other, __ATOMIC_RELEASE);
}

/* eight ranges of 64 KiB, 16 of 16 KiB, 64 of 4 KiB; eight in a register */
static const struct {
	u32 msr, count, size;
} fixed_registers[] = {
	{0x250, 1, 0x10000},
	{0x258, 2, 0x4000},
	{0x268, 8, 0x1000},
};

static void decode_fixed(struct mtrr_state *s, u64 (*read)(u32 msr))
{
	u32 at = 0;

	for (u32 k = 0; k < ARRAY_SIZE(fixed_registers); k++)
		for (u32 i = 0; i < fixed_registers[k].count; i++) {
			u64 types = read(fixed_registers[k].msr + i);

			for (u32 byte = 0; byte < 8; byte++)
				s->fixed[at++] = (u8)(types >> 8 * byte);
		}
}

static void decode_range(struct mtrr_state *s, u32 n, u64 (*read)(u32 msr))
{
	u64 base = read(MSR_MTRR_VARIABLE + 2 * n), mask = read(MSR_MTRR_VARIABLE + 2 * n + 1);
	u64 pages = ~(PAGE_SIZE - 1) & (arch_physical_limit() - 1);

	if (!(mask & MTRR_VALID) || !(mask & pages))
		return;
	s->range[s->count].type = (u8)base;
	s->range[s->count].base = base & pages;
	s->range[s->count].mask = mask & pages;
	s->range[s->count].size = (mask & pages) & -(mask & pages);
	s->count++;
}

void mtrr_decode(struct mtrr_state *s, u64 (*read)(u32 msr))
{
	u64 capability = read(MSR_MTRR_CAP), defaults = read(MSR_MTRR_DEFAULT);

	*s = (struct mtrr_state){.on = defaults & MTRR_DEFAULT_ON};
	/* SDM vol. 3, "IA32_MTRR_DEF_TYPE MSR": off, all memory is uncacheable */
	s->default_type = s->on ? (u8)defaults : TYPE_UC;
	s->fixed_on = s->on && defaults & MTRR_DEFAULT_FIXED && capability & MTRR_CAP_FIXED;
	if (s->fixed_on)
		decode_fixed(s, read);
	for (u32 n = 0; s->on && n < MIN((u32)MTRR_CAP_COUNT(capability), MTRR_PAIRS); n++)
		decode_range(s, n, read);
}

static enum memory_type fixed_type(const struct mtrr_state *s, u64 pa, u64 *end)
{
	u64 begin = 0;
	u32 at = 0;

	for (u32 k = 0; k < ARRAY_SIZE(fixed_registers); k++) {
		u32 count = 8 * fixed_registers[k].count, size = fixed_registers[k].size;

		if (pa < begin + (u64)count * size) {
			u32 n = (u32)((pa - begin) / size);

			*end = begin + (n + 1ull) * size;
			return s->fixed[at + n];
		}
		begin += (u64)count * size;
		at += count;
	}
	*end = MIB;
	return TYPE_UC;
}

/* SDM vol. 3, "MTRR Precedences": of two types the one that caches less, where that is defined. */
static enum memory_type both(enum memory_type a, enum memory_type b)
{
	if (a == b)
		return a;
	if ((a == TYPE_WB && b == TYPE_WT) || (a == TYPE_WT && b == TYPE_WB))
		return TYPE_WT;
	return TYPE_UC;
}

enum memory_type mtrr_type(const struct mtrr_state *s, u64 pa, u64 *end)
{
	enum memory_type type = s->default_type;
	bool found = false;

	if (pa < MIB && s->fixed_on)
		return fixed_type(s, pa, end);
	*end = pa < MIB ? MIB : UINT64_MAX;
	for (u32 i = 0; i < s->count; i++) {
		u64 begin = s->range[i].base, size = s->range[i].size;

		if ((pa & s->range[i].mask) == begin) {
			type = found ? both(type, s->range[i].type) : s->range[i].type;
			found = true;
			*end = MIN(*end, (pa & ~(size - 1)) + size);
		} else if (begin > pa) {
			*end = MIN(*end, begin);
		}
	}
	return type;
}
