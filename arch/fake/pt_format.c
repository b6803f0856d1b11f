/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Page tables in a format that no machine has: the address is in bits 12 to 33, and each level uses
 * six other bits for the rest. Reading an entry at the wrong level, or in the other format, aborts.
 */
#include "fake.h"
#include "machine.h"
#include <stdio.h>
#include <stdlib.h>

enum { VALID = 1, TABLE = 2, ATTR_SHIFT = 2 }; /* PT_* follow in four bits */

#define ADDR_MASK   0x3fffff000ull
#define FIELD_SHIFT 34
#define FIELD_BITS  6
#define MAX_LEVELS  5

/* `turn` is the format's offset of these bits. */
static u32 field(u64 entry, u32 level, u32 turn)
{
	u32 shift = FIELD_SHIFT + FIELD_BITS * ((level + turn) % MAX_LEVELS);
	u64 mask = (1ull << FIELD_BITS) - 1;

	if (entry & ~(mask << shift | ADDR_MASK)) {
		fprintf(stderr, "fake: entry 0x%llx is not one of level %u\n",
			(unsigned long long)entry, level);
		abort();
	}
	return entry >> shift & mask;
}

static u64 make(u64 pa, u32 level, u32 turn, u32 bits)
{
	if (pa & ~ADDR_MASK) {
		fprintf(stderr, "fake: 0x%llx does not fit an entry\n", (unsigned long long)pa);
		abort();
	}
	return pa | (u64)bits << (FIELD_SHIFT + FIELD_BITS * ((level + turn) % MAX_LEVELS));
}

static u64 entry_addr(u64 entry, u32 level)
{
	(void)level;
	return entry & ADDR_MASK;
}

#define ENTRY_FUNCTIONS(kind, turn)                                                                \
	static bool kind##_present(u64 entry, u32 level)                                           \
	{                                                                                          \
		return field(entry, level, turn) & VALID;                                          \
	}                                                                                          \
	static bool kind##_leaf(u64 entry, u32 level)                                              \
	{                                                                                          \
		return !(field(entry, level, turn) & TABLE);                                       \
	}                                                                                          \
	static u32 kind##_attrs(u64 entry, u32 level)                                              \
	{                                                                                          \
		return field(entry, level, turn) >> ATTR_SHIFT;                                    \
	}                                                                                          \
	static u64 kind##_make_leaf(u64 pa, u32 level, u32 attrs)                                  \
	{                                                                                          \
		return attrs ? make(pa, level, turn, VALID | attrs << ATTR_SHIFT) : 0;             \
	}                                                                                          \
	static u64 kind##_make_table(u64 pa, u32 level)                                            \
	{                                                                                          \
		return make(pa, level, turn, VALID | TABLE);                                       \
	}

ENTRY_FUNCTIONS(stage2, 0)
ENTRY_FUNCTIONS(guest, 2)

static struct pt_format stage2_format;

static bool stage2_in_range(u64 addr)
{
	return addr >> stage2_format.input_bits == 0;
}

static bool guest_in_range_4(u64 addr)
{
	return (u64)((s64)(addr << 16) >> 16) == addr;
}

static bool guest_in_range_5(u64 addr)
{
	return (u64)((s64)(addr << 7) >> 7) == addr;
}

#define FORMAT(kind, title, top, range)                                                            \
	{                                                                                          \
		.name = (title), .page_shift = PAGE_SHIFT,                                         \
		.input_bits = PAGE_SHIFT + 9 * (top) + 9, .top_level = (top), .max_leaf_level = 2, \
		.in_range = (range), .present = kind##_present, .leaf = kind##_leaf,               \
		.addr = entry_addr, .attrs = kind##_attrs, .make_leaf = kind##_make_leaf,          \
		.make_table = kind##_make_table,                                                   \
	}

static const struct pt_format stage2_default = FORMAT(stage2, "fake stage 2", 3, stage2_in_range);
static struct pt_format stage2_format = FORMAT(stage2, "fake stage 2", 3, stage2_in_range);
static const struct pt_format guest_4 = FORMAT(guest, "fake guest, 4 levels", 3, guest_in_range_4);
static const struct pt_format guest_5 = FORMAT(guest, "fake guest, 5 levels", 4, guest_in_range_5);

const struct pt_format *arch_stage2_format(void)
{
	return &stage2_format;
}

struct pt_format *fake_stage2_format(void)
{
	return &stage2_format;
}

void fake_format_reset(void)
{
	stage2_format = stage2_default;
}

u32 fake_entry_level(u64 entry)
{
	u32 level = 0;

	while (level < MAX_LEVELS - 1 &&
	       !(entry >> (FIELD_SHIFT + FIELD_BITS * level) & ((1u << FIELD_BITS) - 1)))
		level++;
	return level;
}

const struct pt_format *arch_guest_format(u32 levels)
{
	return levels == 4 ? &guest_4 : levels == 5 ? &guest_5 : NULL;
}

u64 arch_physical_limit(void)
{
	return 1ull << 40;
}
