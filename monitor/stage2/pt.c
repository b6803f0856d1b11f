/* SPDX-License-Identifier: BSD-2-Clause */
#include "stage2/pt.h"
#include "lib/errno.h"

int pt_walk(const struct pt_format *f, u64 root, u64 addr, pt_read_fn read, void *ctx,
	    struct pt_walk *w)
{
	const u32 bits = f->page_shift - 3, table_mask = (1u << bits) - 1;
	u32 shift = pt_level_shift(f, f->top_level), mask = pt_entries(f, f->top_level) - 1;
	int err;

	if (!f->in_range(addr))
		return -ERANGE;
	w->table_pa = root;
	w->level = f->top_level;
	/*
	 * The same as pt_index(), but the root's size is computed once, for speed: stacks are
	 * scanned in the pause.
	 */
	for (;; shift -= bits, mask = table_mask) {
		w->index = addr >> shift & mask;
		err = read(ctx, w->table_pa, w->index, &w->entry);
		if (err)
			return err;
		if (!f->present(w->entry, w->level))
			return -ENOENT;
		if (w->level == 0 || f->leaf(w->entry, w->level))
			break;
		w->table_pa = f->addr(w->entry, w->level);
		w->level--;
	}
	w->pa = f->addr(w->entry, w->level) + (addr & ((1ull << shift) - 1));
	w->attrs = f->attrs(w->entry, w->level);
	return 0;
}
