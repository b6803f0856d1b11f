/* SPDX-License-Identifier: BSD-2-Clause */
/* What the monitor asks of an architecture: time. */
#ifndef ARCH_TIME_H
#define ARCH_TIME_H

#include "lib/types.h"

/*
 * Microseconds since the monitor's start, monotonic, the same on all CPUs; 0 before
 * arch_start_probe(). Any CPU, in any state; takes no lock. x86: the time stamp counter, invariant
 * (APM vol. 2, 13.2.4); arm64: CNTPCT_EL0 (Arm ARM DDI 0487, Generic Timer).
 */
u64 arch_time_us(void);

#endif
