/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An identity map of all physical memory with exceptions: the monitor's own tables and the guest's
 * second stage.
 */
#ifndef STAGE2_IDMAP_H
#define STAGE2_IDMAP_H

#include "stage2/pgtable.h"

struct idmap_range {
	u64 base, end;
	u64 pa;	   /* of base; if `repeat`, of the one page of memory that is mapped at each page of
		      the range */
	u32 attrs; /* PT_* */
	bool repeat;
};

struct idmap {
	u32 count;
	u32 page_shift; /* of the format of the tables (struct pt_format); 0: PAGE_SHIFT */
	struct idmap_range ranges[48]; /* sorted, disjoint */
};

/*
 * Add an exception; rounded to whole pages of the tables. Ranges of the same kind may overlap.
 * -EEXIST: overlaps one of another kind. -ENOSPC. A size of 0 adds nothing.
 */
int idmap_add(struct idmap *m, u64 base, u64 size, u64 pa, u32 attrs, bool repeat);

/*
 * Map [0, limit) in s: the exceptions, and the rest as identity with attrs, each with the memory
 * type of the format's memory_type(). -ENOMEM, -EINVAL.
 */
int idmap_build(const struct idmap *m, struct pgtable *s, u64 limit, u32 attrs);

#endif
