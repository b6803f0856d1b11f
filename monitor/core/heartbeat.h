/* SPDX-License-Identifier: BSD-2-Clause */
/* The service CPU's sign of life, at which guest CPUs look in their exits. */
#ifndef CORE_HEARTBEAT_H
#define CORE_HEARTBEAT_H

#include "lib/types.h"

/* The service loop halts for no longer than this. */
#define HEARTBEAT_US 500000u

/* The service CPU is alive, and from now on looked at. In each round of its loop; service CPU. */
void heartbeat(void);

/* It is not looked at any more. Service CPU. */
void heartbeat_end(void);

#endif
