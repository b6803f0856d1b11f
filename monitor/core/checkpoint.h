/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory of the service CPU that goes back to a known state when that CPU begins anew. Of each
 * block there is a copy, as it was at the last checkpoint_take(): the service loop takes one when
 * what it has done becomes visible to others (docs/restart.md). All on the service CPU; takes the
 * pool's lock.
 */
#ifndef CORE_CHECKPOINT_H
#define CORE_CHECKPOINT_H

#include "lib/types.h"

/* As pool_alloc() and pool_free(). What is freed stays as it is until the next checkpoint. */
void *checkpoint_alloc(size_t pages);
void checkpoint_free(void *p, size_t pages);

/*
 * Take over pages of the pool whose contents never change again: there is no copy of them. They go
 * back with checkpoint_free(). -ENOMEM: they are still the caller's.
 */
int checkpoint_adopt(void *p, size_t pages);

/* A variable goes along; size: a multiple of 8, as its alignment. -ENOMEM. */
int checkpoint_static(void *p, size_t size);

/* The state is consistent now: go back to this one from here on. */
void checkpoint_take(void);

/*
 * The service CPU has begun anew, after pool_restart(): put everything back, and claim its pages.
 * May be called again if it was not completed. 0; -EIO: the copy was damaged, or the pages are
 * somebody else's.
 */
int checkpoint_restore(void);

/* No block is known any more, and none is freed: for unit tests, whose pool is a new one. */
void checkpoint_forget(void);

/* The last restore: bytes that were different, and how many blocks there are. For the log. */
struct checkpoint_stats {
	u64 blocks, bytes, restored_pages, taken;
};
void checkpoint_stats(struct checkpoint_stats *s);

#endif
