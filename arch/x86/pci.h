/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest's accesses to PCI configuration space by ports. */
#ifndef X86_PCI_H
#define X86_PCI_H

#include "lib/types.h"

/* The guest's access to port CF8h or CFCh to CFFh; value is IN's result or OUT's data. Any CPU. */
u32 pci_guest_port(u16 port, u32 size, bool in, u32 value);

#endif
