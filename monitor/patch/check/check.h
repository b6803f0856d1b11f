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
	u64 start, end;	  /* [start, end) of the code that must not be on a stack */
	const char *name; /* the owner of the range keeps it */
};

/*
 * Sort the ranges by start and merge those that overlap. Returns how many are left.
 */
u32 check_sort(struct check_range *ranges, u32 count);

/*
 * Before the pause, with the guest running: look at the stacks of tasks that sleep, and remember
 * those with nothing on them. check_run() with the same ranges (sorted by check_sort(), unchanged,
 * and valid until check_ahead_free()) does not look at them again if they have not run since, so
 * that the pause does not grow with the number of tasks. NULL when there is no memory: check_run()
 * then looks at all tasks. The caller frees it. One CPU at a time, with no pause under way.
 */
struct check_ahead *check_ahead(const struct check_range *ranges, u32 count);
void check_ahead_free(struct check_ahead *a);

/*
 * Run the check with all guest CPUs held; `self` is the initiator if that is a guest CPU, else
 * NULL. The ranges are those that check_sort() has left. ahead may be NULL. One CPU at a time, the
 * holder of p. 0: safe. -EBUSY: r->blocker names the task that blocks. -EFAULT, -ELOOP: could
 * not be judged, r->reason says why. -ETIMEDOUT: the pause's deadline came first. Fills
 * tasks_checked, tasks_before_pause, words_checked and words_cleared.
 */
int check_run(const struct pause *p, const struct cpu *self, const struct check_range *ranges,
	      u32 count, const struct check_ahead *ahead, struct transition_report *r);

#endif
