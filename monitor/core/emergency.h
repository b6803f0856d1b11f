/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The last words of a CPU that a fault of the monitor's own has ended: to the debug port alone,
 * since the fault may have come with the log's lock held. Any CPU, in any state; takes no lock.
 */
#ifndef CORE_EMERGENCY_H
#define CORE_EMERGENCY_H

#include "lib/format.h"
#include "lib/types.h"

/* One line. */
void emergency(const char *fmt, ...) __printf_like(1, 2);

/*
 * The words from sp to the end of its page that lie in the image, which is `size` bytes at `image`:
 * return addresses, probably, and enough to find the way with addr2line. A line for each, at
 * most 12.
 */
void emergency_stack(const u64 *sp, u64 image, u64 size);

#endif
