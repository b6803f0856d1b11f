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
 *
 * A lock that the service CPU held when it began anew (docs/restart.md) is broken: whoever wants it
 * next takes it. What it protects may be half changed then, and is such that this does no harm. A
 * guest CPU that waits for a lock looks after the service CPU, as in an exit: so it is begun anew
 * also if all of them wait for it.
 */
#ifndef CORE_LOCK_H
#define CORE_LOCK_H

#include "lib/types.h"

struct spinlock {
	u32 held; /* the holder and its life (struct cpu); 0: free */
};

/* Any CPU inside the monitor, and the boot CPU before it. */
void spin_lock(struct spinlock *l);
bool spin_trylock(struct spinlock *l);
void spin_unlock(struct spinlock *l);

#endif
