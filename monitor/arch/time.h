/* SPDX-License-Identifier: BSD-2-Clause */
/* What the monitor asks of an architecture: time. */
#ifndef ARCH_TIME_H
#define ARCH_TIME_H

#include "lib/types.h"

/* Microseconds since the monitor's start, monotonic, the same on all CPUs. Any CPU. */
u64 arch_time_us(void);

#endif
