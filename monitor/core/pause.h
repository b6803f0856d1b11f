/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pausing the guest: all guest CPUs are held inside the monitor at once.
 *
 * A pause has a generation number. The initiator publishes it and kicks every guest CPU
 * (arch_kick); each CPU that sees it acknowledges with the number, waits inside the monitor, and
 * flushes its stage-2 TLB before it goes back. A CPU that begins a pause during another one
 * acknowledges that one first: initiators never wait for one another with a lock held. Before
 * pause_commit() held CPUs leave the pause by themselves at the deadline. After it they stay until
 * pause_end(), and any of them can finish the committed work, which is idempotent.
 */
#ifndef CORE_PAUSE_H
#define CORE_PAUSE_H

#include "core/cpu.h"

struct pause {
	u64 generation;
	u64 right; /* the right to initiate; private to pause.c */
	u64 start_us;
	u64 deadline_us;
	u32 cpus_held; /* guest CPUs that acknowledged, the initiator not counted */
};

/*
 * Pause the guest for at most budget_us microseconds. On success every CPU that is not absent,
 * parked, dead, or the caller is in CPU_HELD or CPU_IDLE. -ETIMEDOUT: not all came in time, and
 * those that came were released. Any CPU inside the monitor, with no lock held; the caller may be a
 * guest CPU (in an exit) or the service CPU.
 */
int pause_begin(struct pause *p, u64 budget_us);

/* Microseconds left until the deadline; 0 when it has passed. The holder of the pause. */
u64 pause_left_us(const struct pause *p);

/*
 * From here on the pause cannot expire. Any held CPU may call finish(arg) to do the work if the
 * initiator dies. Returns -ETIMEDOUT if the deadline has passed: then the caller must change
 * nothing.
 */
int pause_commit(struct pause *p, void (*finish)(void *arg), void *arg);

/*
 * Halt for the guest, which has asked for it: halt(self) returns when the CPU is to go on. In
 * between a pause neither waits for it nor wakes it, for it comes by here before it enters the
 * guest; until then its guest state is that of the exit. On that guest CPU, in its exit, no lock
 * held.
 */
void pause_sleep(struct cpu *self, void (*halt)(struct cpu *self));

/* Let the guest go on. Also after a pause_commit() that failed. */
void pause_end(struct pause *p);

/*
 * The calling CPU has begun anew: end the pause that it may have had, and finish what was
 * committed. On the service CPU, no lock held.
 */
void pause_restart(struct cpu *self);

/*
 * The deadline of the pause that c has, or is about to begin; 0: none. Any CPU.
 */
u64 pause_until_us(const struct cpu *c);

/*
 * For a reader of data that other CPUs change in pauses, and that takes no pause itself. It reads
 * the mark before and after the data: if the mark is not 0 and the same, nothing was changed
 * meanwhile. 0: a pause is in progress. Any CPU.
 */
u64 pause_mark(void);

/* Totals for the metrics. */
struct pause_stats {
	u64 count, timeouts, last_us, max_us;
};
void pause_stats(struct pause_stats *s);

#endif
