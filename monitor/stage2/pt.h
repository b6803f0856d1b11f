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

#include "arch/pagetable.h"

#define PT_ENTRIES	  512u
#define PT_LEVEL_SHIFT(l) (PAGE_SHIFT + 9u * (l))
#define PT_LEVEL_SIZE(l)  (1ull << PT_LEVEL_SHIFT(l))

static inline u32 pt_index(u64 addr, u32 level)
{
	return addr >> PT_LEVEL_SHIFT(level) & (PT_ENTRIES - 1);
}

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
