/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest's write to a shadowed page. The CPU's own instruction carries it out: the guest is
 * paused, the page's leaf points at the guest's own page, the CPU executes that one instruction,
 * and the leaf points at the copy again, which has been brought up to date. One such write is in
 * progress at a time. A guest CPU, in its exit, no lock held.
 */
#ifndef STAGE2_SHADOW_WRITE_H
#define STAGE2_SHADOW_WRITE_H

#include "lib/types.h"

/* True if the page at ipa is shadowed. The answer holds until this CPU passes pause_point(). */
bool shadow_write_concerns(ipa_t ipa);

/*
 * Open the page for the calling CPU's next instruction, which then is executed alone, with
 * interrupts held back; shadow_write_end() follows it. -EAGAIN: nothing has changed; enter the
 * guest, whose write faults again.
 */
int shadow_write_begin(ipa_t ipa);

/*
 * The same instruction writes to another shadowed page: an unaligned write crosses into it, a
 * scatter has elements there. The second page is opened; at the third one, all shadowed pages are,
 * so that every instruction ends, whatever it writes to.
 */
void shadow_write_also(ipa_t ipa);

/* End the write, whether the instruction has completed or not. */
void shadow_write_end(void);

#endif
