/* SPDX-License-Identifier: BSD-2-Clause */
/* An identity map of all physical memory with exceptions: the monitor's own and the guest's. */
#ifndef X86_MAP_H
#define X86_MAP_H

#include "stage2/stage2.h"

struct map_range {
	u64 base, end;
	u64 pa;	   /* of base, or of the one page that stands for all if `repeat` */
	u32 attrs; /* PT_* */
	bool repeat;
};

struct map {
	u32 count;
	struct map_range ranges[32]; /* sorted, disjoint */
};

/*
 * Add an exception; rounded to whole pages. Ranges of the same kind may overlap. -EEXIST: overlaps
 * one of another kind. -ENOSPC. A size of 0 adds nothing.
 */
int map_add(struct map *m, u64 base, u64 size, u64 pa, u32 attrs, bool repeat);

/* Map [0, limit) in s: the exceptions, and all else to itself with attrs. -ENOMEM, -EINVAL. */
int map_build(const struct map *m, struct stage2 *s, u64 limit, u32 attrs);

/* Physical addresses that this machine can have, as far as four table levels reach. */
u64 map_limit(void);

/* The guest's: hides what is the monitor's (layout.c). -ENOMEM, -EEXIST. Boot CPU, in core_init. */
int layout_stage2(void);

/* Is this a page that the guest sees zeros or ones in? Any CPU. */
bool layout_is_hidden(ipa_t ipa);

#endif
