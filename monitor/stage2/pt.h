/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Page-table formats as data: one walker reads stage 2 (NPT, EPT, arm64) and the guest's own
 * tables. All have 4 KiB tables of 512 entries of 8 bytes; they differ in the bits.
 *
 * Levels count as the distance from the page: level 0 holds 4 KiB leaves, level 1 leaves of 2 MiB,
 * level 2 of 1 GiB.
 */
#ifndef STAGE2_PT_H
#define STAGE2_PT_H

#include "lib/types.h"

#define PT_ENTRIES	  512u
#define PT_LEVEL_SHIFT(l) (PAGE_SHIFT + 9u * (l))
#define PT_LEVEL_SIZE(l)  (1ull << PT_LEVEL_SHIFT(l))

static inline u32 pt_index(u64 addr, u32 level)
{
	return addr >> PT_LEVEL_SHIFT(level) & (PT_ENTRIES - 1);
}

enum pt_attr {
	PT_READ = 1,
	PT_WRITE = 2,
	PT_EXEC = 4,
	PT_DEVICE =
		8, /* device memory: matters to EPT and arm64; NPT takes it from the guest's PAT */
};

struct pt_format {
	const char *name;
	u32 top_level;	    /* level of the root table: 3 for four levels */
	u32 max_leaf_level; /* largest leaf this machine can use */
	/* True if the tables can translate addr at all (canonical, within the input size). */
	bool (*in_range)(u64 addr);
	/* True if the entry is valid: it maps memory or points at a table. */
	bool (*present)(u64 entry, u32 level);
	/* True if a present entry maps memory, false if it points at a table. */
	bool (*leaf)(u64 entry, u32 level);
	/* Physical address in a present entry, of the page or the next table. */
	u64 (*addr)(u64 entry, u32 level);
	/* PT_* of a leaf. */
	u32 (*attrs)(u64 entry, u32 level);
	/* Make entries; NULL in formats that are only read. attrs 0 makes a non-present leaf. A
	 * table's level is that of the entry which points at it. */
	u64 (*make_leaf)(u64 pa, u32 level, u32 attrs);
	u64 (*make_table)(u64 pa, u32 level);
};

/* Reads one entry of a table. Returns 0 or negative errno (-EFAULT: not in memory). */
typedef int (*pt_read_fn)(void *ctx, u64 table_pa, u32 index, u64 *entry);

struct pt_walk {
	u64 entry;    /* the last entry read */
	u64 table_pa; /* the table that holds it */
	u32 index;    /* and its place there */
	u32 level;
	u64 pa; /* of the address asked for, when it is mapped */
	u32 attrs;
};

/*
 * Walk the tables at root for addr. 0: mapped, *w is filled; -ENOENT: the walk ended at a
 * non-present entry, described in *w (entry, table_pa, index, level); -ERANGE: the format has no
 * such address; other errors are those of `read`. Changes nothing.
 */
int pt_walk(const struct pt_format *f, u64 root, u64 addr, pt_read_fn read, void *ctx,
	    struct pt_walk *w);

#endif
