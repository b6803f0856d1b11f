/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The monitor's memory: one contiguous range, reserved at boot and hidden from the guest. There is
 * no other allocator. Memory is allocated in whole pages.
 */
#ifndef CORE_POOL_H
#define CORE_POOL_H

#include "lib/types.h"

/* Hand the range [base, base + size) to the pool; page aligned. Once, on the boot CPU. */
void pool_init(pa_t base, u64 size);

/*
 * Allocate `pages` contiguous pages, zeroed; NULL when there is no room. The caller owns them and
 * returns them with pool_free() and the same count. Any CPU inside the monitor; takes the pool
 * lock. Code that runs in a pause uses pages that were allocated before it.
 */
void *pool_alloc(size_t pages);
void pool_free(void *p, size_t pages);

/*
 * What stays allocated when the service CPU begins anew, without being claimed: all that is
 * allocated now; or these pages, until they are freed. Boot CPU or service CPU.
 */
void pool_keep_all(void);
void pool_keep(void *p, size_t pages);

/*
 * The service CPU begins anew: all that is not kept is free. Then each owner claims the pages that
 * it still has: 0; -EIO: they are not the pool's, or somebody's already. Service CPU.
 */
void pool_restart(void);
int pool_claim(const void *p, size_t pages);

struct pool_stats {
	u64 total_pages;
	u64 used_pages;
	u64 peak_pages;
};

void pool_stats(struct pool_stats *s);

#endif
