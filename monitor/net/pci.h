/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PCI configuration space (PCI Local Bus Specification 3.0, chapter 6). Boot CPU in core_init(),
 * later the service CPU, unless it says otherwise.
 */
#ifndef NET_PCI_H
#define NET_PCI_H

#include "lib/types.h"

#define PCI_BARS 6

struct pci_bar {
	bool io;	/* I/O ports, not memory */
	u64 base, size; /* 0: there is none, or the upper half of the one before */
};

struct pci_device {
	u16 bdf;
	u16 vendor, device;
	struct pci_bar bar[PCI_BARS];
};

/* Each BAR of d; none if d is NULL. */
#define for_each_bar(d, b)                                                                         \
	for (const struct pci_bar *b = (d) ? (d)->bar : NULL; b && b < (d)->bar + PCI_BARS; b++)   \
		if (b->size)

/*
 * Where configuration space is: in memory (PCI Express 5.0, 7.2.2: ECAM) up to end_bus, or with
 * ecam 0, and for buses behind that, where arch_pci_read() finds it. Boot CPU.
 */
void pci_init(pa_t ecam, u32 end_bus);

u32 pci_read(u16 bdf, u32 reg); /* 32 bits, reg a multiple of 4 */
void pci_write(u16 bdf, u32 reg, u32 value);

/*
 * The same for accesses of the guest and what is decided with them: `size` bytes, 1, 2 or 4, which
 * do not cross a multiple of four. With pci_lock(), which also orders accesses that are not in
 * memory. Any CPU; at boot there is no need for the lock.
 */
u32 pci_config_read(u16 bdf, u32 reg, u32 size);
void pci_config_write(u16 bdf, u32 reg, u32 size, u32 value);
void pci_lock(void);
void pci_unlock(void);

/*
 * The last bus of segment 0 that is used, or that the OS may come to use: those of devices, and the
 * ranges of bridges, in which the buses of devices that are added later lie. At most end_bus, and
 * that if there is no such bound: a bridge without a range, a CardBus bridge, virtual functions on
 * a root bus. Boot CPU, in core_init().
 */
u32 pci_last_bus(u32 end_bus);

/*
 * Read the ids and BARs of the device at bdf, with their sizes. 0, or -ENODEV when there is no
 * device. pci_probe() turns the device's decoding and DMA off while it sizes the BARs and leaves
 * them off; pci_look() leaves the device as it was.
 */
int pci_probe(u16 bdf, struct pci_device *d);
int pci_look(u16 bdf, struct pci_device *d);

/*
 * Let the device decode its memory BARs, and do DMA too; or neither. Its INTx line stays off. A
 * device that another owner has left running is reset before it may do DMA.
 */
void pci_decode(const struct pci_device *d);
void pci_enable(const struct pci_device *d);
void pci_disable(const struct pci_device *d);

/*
 * Turn the device's MSI on (6.8.1) with the address and data of arch_service_msi(). False when the
 * device or the machine has none.
 */
bool pci_enable_msi(const struct pci_device *d);

#endif
