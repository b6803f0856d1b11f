/* SPDX-License-Identifier: BSD-2-Clause */
/* What the monitor asks of an architecture: access to its own devices. */
#ifndef ARCH_DEVICE_H
#define ARCH_DEVICE_H

#include "lib/types.h"

/*
 * PCI configuration space where it is not in memory; all ones where there is none, or no device.
 * `size` bytes, 1, 2 or 4, which do not cross a multiple of four. Any CPU, with pci_lock()
 * (net/pci.h); at boot there is no need for it. x86: ports CF8h and CFCh (PCI Local Bus
 * Specification 3.0, 3.2.2.3.2); arm64: there is none.
 */
u32 arch_pci_read(u16 bdf, u32 reg, u32 size);

/* Likewise; a write where there is none is lost. */
void arch_pci_write(u16 bdf, u32 reg, u32 size, u32 value);

#endif
