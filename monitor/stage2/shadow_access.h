/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's write to a shadowed page, or a read of one whose redirects are hidden. The CPU's own
 * instruction carries it out: the guest is paused, the page's leaf points at the guest's own page,
 * the CPU executes that one instruction, and the leaf points at the copy again, which has been
 * brought up to date. One such access is in progress at a time. The instruction may lie on the same
 * page: it is fetched from the guest's own page then, which has it unchanged, since no piece of a
 * redirect accesses memory. A guest CPU, in its exit, no lock held.
 */
#ifndef STAGE2_SHADOW_ACCESS_H
#define STAGE2_SHADOW_ACCESS_H

#include "lib/types.h"

/* True if the page at ipa is shadowed. The answer holds until this CPU passes pause_point(). */
bool shadow_access_concerns(ipa_t ipa);

/*
 * Open the page for the calling CPU's next instruction, which then is executed alone, with
 * interrupts held back; shadow_access_end() follows it. -EAGAIN: nothing has changed; enter the
 * guest, whose access faults again.
 */
int shadow_access_begin(ipa_t ipa);

/*
 * The same instruction accesses another shadowed page: an unaligned access crosses into it, a
 * scatter has elements there. The second page is opened; at the third one, all shadowed pages are,
 * so that every instruction ends, whatever it accesses.
 */
void shadow_access_also(ipa_t ipa);

/* End the access, whether the instruction has completed or not. */
void shadow_access_end(void);

#endif
