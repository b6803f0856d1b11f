/* SPDX-License-Identifier: BSD-2-Clause */
#include "stage2/pt.h"
#include "lib/errno.h"

int pt_walk(const struct pt_format *f, u64 root, u64 addr, pt_read_fn read, void *ctx,
	    struct pt_walk *w)
{
	int err;

	if (!f->in_range(addr))
		return -ERANGE;
	w->table_pa = root;
	w->level = f->top_level;
	for (;;) {
		w->index = pt_index(f, addr, w->level);
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
	w->pa = f->addr(w->entry, w->level) + (addr & (pt_level_size(f, w->level) - 1));
	w->attrs = f->attrs(w->entry, w->level);
	return 0;
}
