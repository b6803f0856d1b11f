/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Spinlocks between CPUs that are inside the monitor.
 *
 * Lock order, outermost first:
 *	pause (core/pause.h)	never waited for with another lock held
 *	shadow			list of shadow pages and stage-2 leaves
 *	pool			memory
 *	log			innermost: code may log under any lock
 * The mailbox has no lock: its state word says who owns it. No CPU holds a lock while it waits for
 * another CPU.
 */
#ifndef CORE_LOCK_H
#define CORE_LOCK_H

#include "arch/barrier.h"
#include "lib/types.h"

struct spinlock {
	u32 held;
};

static inline void spin_lock(struct spinlock *l)
{
	while (__atomic_exchange_n(&l->held, 1, __ATOMIC_ACQUIRE))
		while (READ_ONCE(l->held))
			arch_relax();
}

static inline bool spin_trylock(struct spinlock *l)
{
	return !__atomic_exchange_n(&l->held, 1, __ATOMIC_ACQUIRE);
}

static inline void spin_unlock(struct spinlock *l)
{
	__atomic_store_n(&l->held, 0, __ATOMIC_RELEASE);
}

#endif
