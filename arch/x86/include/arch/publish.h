/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes that CPUs read by page-table walks and instruction fetches. Both are coherent with stores
 * on x86: walkers read through the data caches, and a store reaches the instruction caches by its
 * physical address (Intel SDM vol. 3A, "Self-Modifying Code"; AMD APM vol. 2, 7.6).
 */
#ifndef ARCH_PUBLISH_H
#define ARCH_PUBLISH_H

#include "lib/types.h"

/*
 * Write an entry of a table that CPUs may walk: one store, ordered after all earlier stores, and
 * visible to every CPU's walker when this returns. Any CPU.
 */
static inline void arch_write_entry(u64 *entry, u64 value)
{
	__atomic_store_n(entry, value, __ATOMIC_RELEASE);
}

/*
 * Make a new table, which was filled by plain stores, visible to all walkers. Called before an
 * entry that points at it is written. Any CPU.
 */
static inline void arch_publish_table(const void *table, size_t size)
{
	(void)table, (void)size;
}

/*
 * Make instructions that were written here visible to every CPU's fetches. Called before a leaf
 * that maps them is set, or before the guest continues. Any CPU.
 */
static inline void arch_publish_code(const void *code, size_t len)
{
	(void)code, (void)len;
}

#endif
