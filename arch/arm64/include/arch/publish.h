/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes that CPUs read by other ways than loads: page-table walks and instruction fetches. Both
 * need more than the store (Arm ARM DDI 0487: D8.2.6 and K13.5.3 for tables; B2.7.4 for
 * instructions). All CPUs are in one inner shareable domain, and the walkers' accesses are
 * cacheable (TCR_EL2, VTCR_EL2), so nothing needs to be cleaned for them.
 */
#ifndef ARCH_PUBLISH_H
#define ARCH_PUBLISH_H

#include "lib/types.h"

/*
 * Write an entry of a table that CPUs may walk: one store, behind all stores before it, that every
 * CPU's walker sees when this returns. Any CPU.
 */
static inline void arch_write_entry(u64 *entry, u64 value)
{
	__atomic_store_n(entry, value, __ATOMIC_RELEASE);
	__asm__ volatile("dsb ishst; isb" ::: "memory");
}

/*
 * A new table has been filled, by plain stores: let all walkers see that. Before an entry that
 * points at it is written. Any CPU.
 */
static inline void arch_publish_table(const void *table, size_t size)
{
	(void)table, (void)size;
	__asm__ volatile("dsb ishst" ::: "memory");
}

/* Bytes of the smallest line: CTR_EL0.DminLine (bits 19:16) or IminLine (3:0), in words (D19.2.34).
 */
static inline u64 arm64_cache_line(u32 shift)
{
	u64 ctr;

	__asm__("mrs %0, ctr_el0" : "=r"(ctr));
	return 4ull << (ctr >> shift & 15);
}

/*
 * An instruction cache that is indexed by virtual addresses may hold what the guest executes under
 * another index than the monitor's address has: only "all" reaches it (CTR_EL0.L1Ip, bits 15:14, is
 * 3 for PIPT).
 */
static inline bool arm64_icache_is_physical(void)
{
	u64 ctr;

	__asm__("mrs %0, ctr_el0" : "=r"(ctr));
	return (ctr >> 14 & 3) == 3;
}

/*
 * Instructions have been written to, or have changed at, this place: let every CPU fetch them.
 * Before a leaf lets the guest execute them, or before it goes on. Any CPU. (Clean to the point of
 * unification, then invalidate there: B2.7.4.2. Another CPU's own ISB is its exception return.)
 */
static inline void arch_publish_code(const void *code, size_t len)
{
	u64 start = (u64)(uintptr_t)code, end = start + len, line = arm64_cache_line(16);

	for (u64 at = start & ~(line - 1); at < end; at += line)
		__asm__ volatile("dc cvau, %0" ::"r"(at) : "memory");
	__asm__ volatile("dsb ish" ::: "memory");
	line = arm64_cache_line(0);
	if (arm64_icache_is_physical())
		for (u64 at = start & ~(line - 1); at < end; at += line)
			__asm__ volatile("ic ivau, %0" ::"r"(at) : "memory");
	else
		__asm__ volatile("ic ialluis" ::: "memory");
	__asm__ volatile("dsb ish; isb" ::: "memory");
}

#endif
