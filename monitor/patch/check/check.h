/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The consistency check: is any task inside a function that is about to change?
 *
 * Every word of every kernel stack from its stack pointer up is compared with the ranges of the
 * active functions; a word w hits a function when start < w <= end. The instruction pointers and
 * registers of all held CPUs are compared too. What cannot be read or judged is not safe. A hit on
 * a stack that can be unwound completely is cleared if the word is stale.
 */
#ifndef PATCH_CHECK_CHECK_H
#define PATCH_CHECK_CHECK_H

#include "core/pause.h"
#include "patch/report.h"

struct check_range {
	/*
	 * [start, end) of the code that must not be on a stack. Where other code jumps to its first
	 * instruction, start is one less.
	 */
	u64 start, end;
	const char *name; /* the owner of the range keeps it */
};

/*
 * Sort the ranges by start and merge those that overlap. Returns how many are left.
 */
u32 check_sort(struct check_range *ranges, u32 count);

/*
 * Before the pause, with the guest running: look at the stacks of the tasks that the agent's watch
 * lists (guest/watch.h), and of those that have run since, until that time. 0: all were looked at,
 * and check_run() with the same ranges (sorted by check_sort(), copied here) looks at few; what was
 * found is kept for later attempts, until check_ahead_forget(). -EAGAIN: there was no time for all;
 * go on with another call. -ENOENT: there is no watch, or it is of no use any more; check_run()
 * then looks at all tasks. Service CPU, with no pause under way.
 */
int check_ahead(const struct check_range *ranges, u32 count, u64 until_us);

/* Forget what was found, and the watch with it. Service CPU. */
void check_ahead_forget(void);

/* The service CPU has begun anew: what was found is gone, with its memory. */
void check_restart(void);

/*
 * Run the check with all guest CPUs held; `self` is the initiator if that is a guest CPU, else
 * NULL. The ranges are those that check_sort() has left. use_ahead: tasks that check_ahead() has
 * found clear are not looked at. One CPU at a time, the holder of p. 0: safe. -EBUSY: r->blocker
 * names the task that blocks. -EFAULT, -ELOOP, -EAGAIN, -EOVERFLOW, -ENOENT: could not be judged,
 * r->reason says why. -ETIMEDOUT: the pause's deadline came first. Fills tasks_checked,
 * tasks_before_pause, words_checked (in the pause) and words_cleared (those before it as well).
 */
int check_run(const struct pause *p, const struct cpu *self, const struct check_range *ranges,
	      u32 count, bool use_ahead, struct transition_report *r);

#endif
