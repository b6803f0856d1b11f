/* SPDX-License-Identifier: BSD-2-Clause */
/* The firmware's power state coordination (PSCI, DEN0022), which the monitor calls by SMC. */
#ifndef ARM64_PSCI_HOST_H
#define ARM64_PSCI_HOST_H

#include "lib/types.h"

struct boot_info;

/* Is PSCI there and called by SMC? -ENODEV with `why` for people. Boot CPU, in core_init(). */
int psci_probe(const struct boot_info *bi, char *why, size_t why_size);

/*
 * Start the CPU with this hardware ID at physical address `entry` of EL2, MMU off, with `context`
 * in x0 (DEN0022, 5.6). 0, or the PSCI error, which is negative (5.2.2). Any CPU, at EL2.
 */
s64 psci_cpu_on(u64 hwid, u64 entry, u64 context);

#endif
