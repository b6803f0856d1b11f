/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a patch costs grows with the number of its functions, at most as n log n. Included once in a
 * program.
 */
#ifndef GROWTH_H
#define GROWTH_H

#include "blocks.h"

static const u32 sizes[] __attribute__((unused)) = {64, 512, SUTURE_MAX_FUNCS};

/* The cost for the three numbers of functions, of which the last is eight times the second. */
static inline void assert_growth(const char *what, const u64 cost[3])
{
	print_message("%s: %llu, %llu, %llu blocks for 64, 512, 4096 functions\n", what, cost[0],
		      cost[1], cost[2]);
	assert_true(cost[0] > 0 && cost[1] > cost[0]);
	/* n log n: 8 * 12 / 9 */
	assert_true(cost[2] <= cost[1] * 11);
}

#endif
