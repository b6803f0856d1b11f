/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The proof that a redirect is in force: the bytes that a guest CPU would fetch are read back
 * through the guest kernel's page tables as they are now, and stage 2, and compared with those that
 * should be there. Nothing that the monitor remembers of the guest's tables is used.
 */
#ifndef PATCH_SWITCH_READBACK_H
#define PATCH_SWITCH_READBACK_H

#include "stage2/shadow.h"

/*
 * A breakpoint or an optimized probe that the guest has put on a redirect is no difference: its
 * kprobes carry out what they read there, which is the redirect.
 *
 * 0: the bytes are right; -EILSEQ: they are not, `why` says what is there instead; -EAGAIN: it
 * cannot be told now, for want of a registered kernel, or because others' pauses come one after the
 * other. Service CPU, no locks held; waits for pauses of others for at most a few milliseconds.
 */

/* Of the redirect with this key, which is to lead to `to`. */
int readback_redirect(u64 key, u64 to, char *why, size_t why_size);

/*
 * After shadow_plan_apply() and the pause: the pieces of this key that the plan has put there, and
 * the guest's own bytes where it has taken some away.
 */
int readback_plan(const struct shadow_plan *plan, u64 key, char *why, size_t why_size);

#endif
