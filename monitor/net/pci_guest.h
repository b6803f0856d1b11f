/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's writes to PCI configuration space in memory (PCI Express 5.0, 7.2.2: ECAM), where
 * there is a management NIC: they exit, and are carried out unless they take the NIC's place.
 * Reads are the guest's own, except of the NIC's registers, which read as ones.
 */
#ifndef NET_PCI_GUEST_H
#define NET_PCI_GUEST_H

#include "net/pci_filter.h"

/*
 * Hide the NIC's registers from the guest, and have its writes to all others exit. *guarded stays
 * the caller's. As hide_device(). Boot CPU, in core_init(), before hide_build().
 */
int pci_guest_hide(const struct pci_guarded *guarded);

/* True if configuration space is at ipa, and the guest's writes there exit. Any CPU. */
bool pci_guest_covers(ipa_t ipa);

/*
 * The guest writes `size` bytes there, 1, 2 or 4. What crosses a multiple of four is lost. On its
 * CPU, in its exit.
 */
void pci_guest_write(ipa_t ipa, u32 size, u32 value);

#endif
