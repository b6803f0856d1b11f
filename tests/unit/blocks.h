/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The monitor's code is compiled to count the basic blocks that it executes
 * (-fsanitize-coverage=trace-pc): such a count is the same in each run. Included once in a program.
 */
#ifndef BLOCKS_H
#define BLOCKS_H

static u64 blocks; /* executed so far */

void __sanitizer_cov_trace_pc(void);
void __sanitizer_cov_trace_pc(void)
{
	blocks++;
}

#endif
