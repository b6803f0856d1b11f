/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Output of a CPU after a fault in the monitor itself. It goes to the debug port only, since the
 * CPU may hold the log's lock. Any CPU, in any state; takes no lock.
 */
#ifndef CORE_EMERGENCY_H
#define CORE_EMERGENCY_H

#include "lib/format.h"
#include "lib/types.h"

/* Write one line. */
void emergency(const char *fmt, ...) __printf_like(1, 2);

/*
 * Write the words between sp and the end of its page that lie in the image, which is `size` bytes
 * at `image`. Most are return addresses, which addr2line resolves. One line each, at most 12.
 */
void emergency_stack(const u64 *sp, u64 image, u64 size);

#endif
