/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the guest may write to PCI configuration space: nothing that takes the management NIC's
 * place. (PCI Local Bus Specification 3.0, 6.2; PCI-to-PCI Bridge Architecture 1.2, 3.2.5)
 */
#ifndef X86_PCI_FILTER_H
#define X86_PCI_FILTER_H

#include "lib/types.h"

struct boot_info;

/*
 * Note what is to be protected: the memory of the NIC, and the host bridge's register that says
 * where configuration space is in memory. Boot CPU, in core_init(), if there is a NIC.
 */
void pci_filter_init(const struct boot_info *bi);

/*
 * True if the guest may write these `size` bytes at reg, which do not cross a multiple of four. It
 * may not move configuration space, nor have a device, that decodes memory, answer at an address of
 * the NIC; what a device answers to is looked at when it is placed, and when it is turned on.
 * Called with the lock of pci_config.c; reads and writes the function's registers by
 * pci_config_read() and pci_config_write(). Any CPU.
 */
bool pci_guest_may_write(u16 bdf, u32 reg, u32 size, u32 value);

#endif
