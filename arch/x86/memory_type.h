/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory types by the MTRRs (AMD APM vol. 2, 7.7; Intel SDM vol. 3, "Memory Type Range Registers").
 */
#ifndef X86_MEMORY_TYPE_H
#define X86_MEMORY_TYPE_H

#include "lib/types.h"

#define MTRR_PAIRS 16u
#define MTRR_FIXED 88u /* bytes, one for each fixed range below 1 MiB */

enum memory_type { TYPE_UC = 0, TYPE_WC = 1, TYPE_WT = 4, TYPE_WP = 5, TYPE_WB = 6 };

struct mtrr_state {
	bool on, fixed_on;
	u8 default_type;
	u8 fixed[MTRR_FIXED];
	u32 count; /* of ranges */
	struct {
		u64 base, mask, size; /* size: bytes, a power of two */
		u8 type;
	} range[MTRR_PAIRS];
};

/*
 * Those that stage 2 has its types from; never NULL. Any CPU may read them while the service CPU
 * sets others, since there are two buffers: the former one stays as it is until the next change,
 * which comes a round of the service loop later at the earliest. Set by the boot CPU, then the
 * service CPU.
 */
extern const struct mtrr_state *memory_types;
void memory_types_set(const struct mtrr_state *s);

/* What these registers say; read() has their values, that of MTRRcap too. Any CPU. */
void mtrr_decode(struct mtrr_state *s, u64 (*read)(u32 msr));
/*
 * The guest's MTRRs are these now. If they are on, stage 2 gets the types that differ; while they
 * are off, which a change of them begins with, it keeps what it has. True: not all guest CPUs
 * stopped in time, to be called again. Service CPU, no lock held.
 */
bool memory_types_follow(const struct mtrr_state *now);
/* The type at pa, and in *end the address where it may be another. Any CPU. */
enum memory_type mtrr_type(const struct mtrr_state *s, u64 pa, u64 *end);

#endif
