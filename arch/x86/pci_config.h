/* SPDX-License-Identifier: BSD-2-Clause */
/* PCI configuration space by ports CF8h and CFCh (PCI 3.0, 3.2.2.3.2). */
#ifndef X86_PCI_CONFIG_H
#define X86_PCI_CONFIG_H

#include "lib/types.h"

#define PCI_ADDRESS_PORT   0xcf8
#define PCI_DATA_PORT	   0xcfc
#define PCI_ADDRESS_ENABLE 0x80000000u

/* True if all of it is in memory: then the guest's accesses to port CF8h need no exit. */
bool pci_is_in_memory(void);

/* A port of configuration space, or of the NIC's. */
u32 pci_port_in(u16 port, u32 size);
void pci_port_out(u16 port, u32 size, u32 value);

#endif
