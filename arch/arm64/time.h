/* SPDX-License-Identifier: BSD-2-Clause */
/* The generic timer (Arm ARM DDI 0487, chapter D12), of which the monitor uses the physical
 * counter. */
#ifndef ARM64_TIME_H
#define ARM64_TIME_H

#include "lib/types.h"

/* The monitor's time begins. Boot CPU, once, at EL2. False: the firmware has not said how fast the
 * counter is (CNTFRQ_EL0). */
bool time_init(void);

/*
 * Have WFE on this CPU end at least once in a millisecond: the event stream (D12.2.5). At EL2.
 */
void time_start_events(void);

#endif
