/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The proof that a redirect is in force: the bytes that a guest CPU would fetch are read back
 * through the guest kernel's page tables as they are now, and stage 2, and compared with those that
 * should be there. No cached translation is used.
 */
#ifndef PATCH_SWITCH_READBACK_H
#define PATCH_SWITCH_READBACK_H

#include "stage2/shadow.h"

/*
 * A breakpoint or an optimized probe that the guest has put on a redirect is no difference: its
 * kprobes carry out what they read there, which is the redirect.
 *
 * 0: the bytes are correct; -EILSEQ: they are not, `why` says which are there; -EAGAIN: they could
 * not be read now, because no kernel is registered, or because one pause follows another. Service
 * CPU, no locks held; waits for pauses of other CPUs for at most a few milliseconds.
 */

/* Read back the redirect with this key, which must lead to `to`. */
int readback_redirect(u64 key, u64 to, char *why, size_t why_size);

/*
 * After shadow_plan_apply() and the pause: read back the pieces of this key that the plan has
 * added, and the guest's own bytes where it has removed some.
 */
int readback_plan(const struct shadow_plan *plan, u64 key, char *why, size_t why_size);

#endif
