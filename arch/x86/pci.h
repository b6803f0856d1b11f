/* SPDX-License-Identifier: BSD-2-Clause */
/* PCI configuration space: the monitor's access, and the filter on the guest's. */
#ifndef X86_PCI_H
#define X86_PCI_H

#include "lib/types.h"

/* The guest's access to port CF8h or CFCh to CFFh; value is IN's result or OUT's data. Any CPU. */
u32 pci_guest_port(u16 port, u32 size, bool in, u32 value);

/* True if configuration space is at ipa, and the guest's writes there exit. Any CPU. */
bool pci_covers(ipa_t ipa);
/* The guest writes there. On its CPU, in its exit. */
void pci_guest_write(ipa_t ipa, u32 size, u32 value);

/* True if all of configuration space is in memory: then the guest's accesses to port CF8h need no exit. */
bool pci_is_in_memory(void);

/* A function's registers, 32 bits at a time. With the lock of pci.c, or at boot. */
u32 pci_config_read(u16 bdf, u32 reg);
void pci_config_write(u16 bdf, u32 reg, u32 value);

#define PCI_ADDRESS_PORT 0xcf8
#define PCI_DATA_PORT	 0xcfc

#endif
