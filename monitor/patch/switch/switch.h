/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The switch: one attempt to change a set of redirects atomically, in these steps: plan, pause,
 * check, fill, commit, apply, resume, read back.
 */
#ifndef PATCH_SWITCH_SWITCH_H
#define PATCH_SWITCH_SWITCH_H

#include "patch/switch/set.h"

/*
 * One attempt. 0: all functions are switched; r->functions_verified counts those whose bytes were
 * read back and are correct, and r->mismatch names the first that is not. -EAGAIN: a task blocks or
 * the pause was too short; r->blocker or r->reason says so, nothing has changed, the caller tries
 * again later. Other errors are permanent: those of arch_redirect_plan(), -EEXIST, -EFAULT,
 * -ENOMEM; r->reason names the function, the obstacle, and the way out. Adds to r. Service CPU, no
 * locks held.
 */
int switch_try(const struct switch_set *set, struct transition_report *r);

/*
 * Would every function of the set take a redirect? The same refusals as switch_try() without
 * pausing. -EBUSY: a breakpoint of the guest's is in the way. For declarations. Service CPU.
 */
int switch_validate(const struct switch_set *set, struct transition_report *r);

#endif
