/* SPDX-License-Identifier: BSD-2-Clause */
/* What the monitor asks of an architecture: access to its own devices. */
#ifndef ARCH_DEVICE_H
#define ARCH_DEVICE_H

#include "lib/types.h"

/*
 * PCI configuration space where it is not in memory (x86: ports); all ones where there is none. Any
 * CPU at boot, later only the service CPU: the guest's own accesses are filtered by arch code and
 * go through the same lock.
 */
u32 arch_pci_read(u16 bdf, u32 reg); /* 32 bits, reg a multiple of 4 */
void arch_pci_write(u16 bdf, u32 reg, u32 value);

/* Mapped device memory: the monitor maps all BARs of its NIC uncached at their physical address. */
void *arch_mmio(pa_t pa, u64 size);

#endif
