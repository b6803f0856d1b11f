/* SPDX-License-Identifier: BSD-2-Clause */
/* What the monitor asks of an architecture: to let its service CPU sleep, and to wake it. */
#ifndef ARCH_SERVICE_H
#define ARCH_SERVICE_H

#include "lib/types.h"

/* Wake the service CPU from arch_service_idle(). Any CPU inside the monitor. */
void arch_service_wake(void);

/*
 * Halt the service CPU until an interrupt, a wake, or until_us (arch_time_us() scale). A wake
 * that came since the last return is not lost: then it returns at once. Service CPU only.
 */
void arch_service_idle(u64 until_us);

/* MSI address and data that bring an interrupt to the service CPU and wake it; false if none. */
bool arch_service_msi(u64 *address, u32 *data);

#endif
