/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whether a guest CPU gets on. An exit may leave it at the instruction that exited, so that this is
 * executed again (a retry). If each try exits again the CPU would do so for ever.
 */
#ifndef CORE_PROGRESS_H
#define CORE_PROGRESS_H

#include "lib/types.h"

/*
 * So many exits in a row are an endless loop. A retry waits at most for other CPUs, each of which
 * is done after a few exits.
 */
#define PROGRESS_LIMIT 10000u

struct progress {
	u64 pc, registers; /* a sum over the general registers */
	u32 exits;	   /* in a row that left them so */
};

/*
 * An exit at pc has been handled, and the guest goes on at pc, with these n general registers and
 * no event to be delivered. True if PROGRESS_LIMIT exits have been the same: it does not get on.
 * Not to be called for exits that the monitor has caused (kicks), which say nothing. On that CPU.
 */
bool progress_is_none(struct progress *p, u64 pc, const u64 *registers, u32 n);

/* An exit after which the guest goes on elsewhere. On that CPU. */
static inline void progress_made(struct progress *p)
{
	p->exits = 0;
}

#endif
