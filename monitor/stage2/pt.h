/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Page-table formats as data: one walker reads stage 2 (NPT, EPT, arm64) and the guest's own
 * tables. All have entries of 8 bytes and tables of the size of a page; they differ in that size,
 * in the number of levels and in the bits.
 *
 * Levels count as the distance from the page: level 0 holds pages, level 1 blocks of as many pages
 * as a table has entries (2 MiB of 4 KiB pages, 32 MiB of 16 KiB, 512 MiB of 64 KiB), and so on.
 */
#ifndef STAGE2_PT_H
#define STAGE2_PT_H

#include "arch/pagetable.h"

static inline u32 pt_level_shift(const struct pt_format *f, u32 level)
{
	return f->page_shift + (f->page_shift - 3) * level;
}

/* Bytes that a leaf of this level maps. */
static inline u64 pt_level_size(const struct pt_format *f, u32 level)
{
	return 1ull << pt_level_shift(f, level);
}

/* Entries of a table of this level; at the top, of the whole root. */
static inline u32 pt_entries(const struct pt_format *f, u32 level)
{
	return 1u << (level == f->top_level ? f->input_bits - pt_level_shift(f, level)
					    : f->page_shift - 3);
}

static inline u32 pt_index(const struct pt_format *f, u64 addr, u32 level)
{
	return addr >> pt_level_shift(f, level) & (pt_entries(f, level) - 1);
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
