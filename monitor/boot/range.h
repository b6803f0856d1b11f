/* SPDX-License-Identifier: BSD-2-Clause */
/* Ranges of physical addresses. Pure logic. */
#ifndef BOOT_RANGE_H
#define BOOT_RANGE_H

#include "lib/types.h"

struct boot_range {
	u64 base, size;
};

/* A few of them, in no order. */
struct boot_ranges {
	u32 count;
	struct boot_range range[16];
};

/* Add one; one of size 0 is none. False: there is no room. */
bool ranges_add(struct boot_ranges *r, u64 base, u64 size);

/*
 * Reduce w to its largest part that touches none of r. True if it changed; its size is 0 if nothing
 * is left.
 */
bool ranges_cut(const struct boot_ranges *r, struct boot_range *w);

#endif
