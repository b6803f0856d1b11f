/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef LIB_SORT_H
#define LIB_SORT_H

#include "lib/types.h"

/*
 * Sort `count` items of `size` bytes, in place, in at most about 2 n log2(n) comparisons; an array
 * that is sorted takes n of them. Equal items may change places. compare(a, b, arg) is negative,
 * zero or positive, as for C11's qsort().
 */
void heap_sort(void *items, u32 count, u32 size,
	       int (*compare)(const void *a, const void *b, const void *arg), const void *arg);

#endif
