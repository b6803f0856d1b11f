/* SPDX-License-Identifier: BSD-2-Clause */
/* What the monitor asks of an architecture: what is none of the other topics. */
#ifndef ARCH_PLATFORM_H
#define ARCH_PLATFORM_H

#include "lib/types.h"

/* One character to the debug port of the configuration, if any. Any CPU. */
void arch_debug_putc(char c);

/* Fill buf with random bytes good enough for TCP sequence numbers and TLS. 0 or -EIO. */
int arch_random(void *buf, size_t len);

#endif
