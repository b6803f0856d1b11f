/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the guest may write to PCI configuration space: nothing that takes the management NIC's
 * place. (PCI Local Bus Specification 3.0, 6.2; PCI-to-PCI Bridge Architecture 1.2, 3.2.5)
 */
#ifndef NET_PCI_FILTER_H
#define NET_PCI_FILTER_H

#include "boot/range.h"
#include "lib/types.h"

/* What is to be protected. */
struct pci_guarded {
	u16 bdf;			  /* the NIC */
	const struct boot_ranges *memory; /* of its BARs */
	pa_t ecam;			  /* configuration space in memory; 0: none is */
	u32 ecam_end_bus;
};

/*
 * Note it, and the host bridge's register that says where configuration space is in memory.
 * *guarded stays the caller's, and must stay as it is. Boot CPU, in core_init(), if there is a NIC.
 */
void pci_filter_init(const struct pci_guarded *guarded);

/*
 * True if the guest may write these `size` bytes at reg, which do not cross a multiple of four. It
 * may not move configuration space, nor have a device, that decodes memory, answer at an address of
 * the NIC; what a device answers to is looked at when it is placed, and when it is turned on.
 * Called with pci_lock(); reads and writes the function's registers by pci_config_read() and
 * pci_config_write(). Any CPU.
 */
bool pci_filter_allows(u16 bdf, u32 reg, u32 size, u32 value);

#endif
