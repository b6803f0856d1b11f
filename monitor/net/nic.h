/* SPDX-License-Identifier: BSD-2-Clause */
/* Network cards: one struct of operations for each driver, probed by PCI id. Service CPU only. */
#ifndef NET_NIC_H
#define NET_NIC_H

#include "core/types.h"

struct pci_device {
	u16 bdf;
	u16 vendor, device;
	u64 bar[6]; /* physical address of memory BARs, 0 for others */
	u64 bar_size[6];
};

struct nic {
	const struct nic_ops *ops;
	u8 mac[6];
	bool has_irq; /* its interrupt reaches the service CPU; else it must be polled */
	u64 rx_packets, tx_packets, rx_dropped, tx_dropped;
	void *priv;
};

struct nic_ops {
	const char *name;
	/* True if the driver knows this device. */
	bool (*match)(const struct pci_device *d);
	/* Reset and start the card; DMA memory from the pool. irq_vector: where an MSI shall go,
	 * with the address and data that arch gave. 0 or negative errno. */
	int (*start)(struct nic *n, const struct pci_device *d);
	void (*stop)(struct nic *n);
	/* Copy the next received frame into buf; returns its length, 0 if there is none. */
	size_t (*receive)(struct nic *n, void *buf, size_t room);
	/* Queue a frame. 0, or -EAGAIN when the ring is full. */
	int (*send)(struct nic *n, const void *frame, size_t len);
	void (*ack_irq)(struct nic *n);
};

extern const struct nic_ops nic_e1000; /* 82540EM (e1000) and 82574L (e1000e) */

/*
 * PCI configuration space, through ECAM or ports (arch). Any CPU at boot, later only the service
 * CPU: the guest's own accesses are filtered by arch code and go through the same lock.
 */
u32 arch_pci_read(u16 bdf, u32 reg); /* 32 bits, reg a multiple of 4 */
void arch_pci_write(u16 bdf, u32 reg, u32 value);

/* MSI address and data that bring an interrupt to the service CPU and wake it; false if none. */
bool arch_service_msi(u64 *address, u32 *data);

/* Mapped device memory: the monitor maps all BARs of its NIC uncached at their physical address. */
void *arch_mmio(pa_t pa, u64 size);

#endif
