/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The agent's watch (SUTURE_MSG_WATCH): all tasks that there were when it began, and who has run
 * since. The guest writes both tables. A guest whose agent lies there can have its own patch
 * switched at a wrong moment, as it could by a wrong layout; the monitor and other guests are not
 * affected.
 */
#ifndef GUEST_WATCH_H
#define GUEST_WATCH_H

#include "lib/types.h"
#include <suture/abi.h>

/*
 * Begin with these tables, instead of others if there were some. -EINVAL: there is not one ring for
 * each of the kernel's CPU numbers; -EFAULT: a ring cannot be read; -ENOMEM. Service CPU, as for
 * all of these functions.
 */
int guest_watch_begin(const struct suture_watch *m);
void guest_watch_end(void);

/* The service CPU has begun anew: no watch is on, and its memory is gone. */
void guest_watch_restart(void);

/* A number for each watch, from 1; 0: none is on. */
u32 guest_watch_id(void);

/* The tasks of the list. guest_watch_task(): the i-th; 0 or -EFAULT. */
u32 guest_watch_tasks(void);
int guest_watch_task(u32 i, struct suture_watch_task *t);

/*
 * Call fn for each event that this function has not called it for. Stops when it returns non-zero,
 * and returns that. -EFAULT; -EOVERFLOW: events were lost. The watch is of no use after an error.
 */
int guest_watch_events(int (*fn)(const struct suture_watch_task *event, void *arg), void *arg);

/*
 * With the guest paused: is every switch of every CPU since the watch began among the events? 0;
 * -EAGAIN: not now, a CPU was stopped between the kernel's counter and the record, or the record
 * has gaps; -EFAULT.
 */
int guest_watch_complete(void);

#endif
