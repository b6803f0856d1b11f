/* SPDX-License-Identifier: BSD-2-Clause */
/* PCI configuration space by ports CF8h and CFCh (PCI 3.0, 3.2.2.3.2), or in memory. */
#ifndef X86_PCI_CONFIG_H
#define X86_PCI_CONFIG_H

#include "lib/types.h"

#define PCI_ADDRESS_PORT   0xcf8
#define PCI_DATA_PORT	   0xcfc
#define PCI_ADDRESS_ENABLE 0x80000000u

/* True if all of it is in memory: then the guest's accesses to port CF8h need no exit. */
bool pci_is_in_memory(void);

/* Around accesses, and what is decided with them. Any CPU; at boot there is no need. */
void pci_config_lock(void);
void pci_config_unlock(void);

/* Access `size` bytes of a function's registers, which do not cross a multiple of four. */
u32 pci_config_read(u16 bdf, u32 reg, u32 size);
void pci_config_write(u16 bdf, u32 reg, u32 size, u32 value);

/* A port of configuration space, or of the NIC's. */
u32 pci_port_in(u16 port, u32 size);
void pci_port_out(u16 port, u32 size, u32 value);

#endif
