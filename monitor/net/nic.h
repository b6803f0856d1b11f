/* SPDX-License-Identifier: BSD-2-Clause */
/* Network cards: one struct of operations for each driver, probed by PCI id. Service CPU only. */
#ifndef NET_NIC_H
#define NET_NIC_H

#include "lib/types.h"

struct pci_device {
	u16 bdf;
	u16 vendor, device;
	u64 bar[6]; /* physical address of memory BARs, 0 for others */
	u64 bar_size[6];
};

#define NIC_FRAME_MIN 14   /* an Ethernet header; shorter ones are dropped */
#define NIC_FRAME_MAX 1514 /* without the frame check sequence, which the card handles */

struct nic {
	const struct nic_ops *ops;
	u8 mac[6];
	bool has_irq; /* its interrupt reaches the service CPU; else it must be polled */
	bool link_up; /* as of the last ack_irq() */
	u64 rx_packets, tx_packets, rx_dropped, tx_dropped;
	void *priv;
};

struct nic_ops {
	const char *name;
	/* True if the driver knows this device. */
	bool (*match)(const struct pci_device *d);
	/*
	 * Reset and start the card; memory for DMA from the pool. Its interrupt goes where
	 * arch_service_msi() says, if the card and the machine can. 0, or negative errno: the card
	 * is quiet and its memory is back in the pool.
	 */
	int (*start)(struct nic *n, const struct pci_device *d);
	/* The inverse: no DMA and no interrupt afterwards. */
	void (*stop)(struct nic *n);
	/*
	 * Copy the next good received frame into buf; returns its length, 0 if there is none.
	 * Damaged and oversized ones are counted and dropped on the way.
	 */
	size_t (*receive)(struct nic *n, void *buf, size_t room);
	/* Queue a frame. 0, -EAGAIN when the ring is full, -EMSGSIZE. */
	int (*send)(struct nic *n, const void *frame, size_t len);
	/*
	 * Acknowledge the interrupt and look at the link. Call it before receive(): a frame that
	 * comes in between raises a new interrupt.
	 */
	void (*ack_irq)(struct nic *n);
};

extern const struct nic_ops nic_e1000; /* 82540EM (e1000) and 82574L (e1000e) */

/*
 * Read what the device at bdf is: ids and memory BARs with their sizes. 0, or -ENODEV when nothing
 * is there. Turns the device's decoding and DMA off while it sizes the BARs and leaves them off.
 */
int pci_probe(u16 bdf, struct pci_device *d);

/* Let the device decode its memory BARs and do DMA, or not; its INTx line stays off. */
void pci_enable(const struct pci_device *d);
void pci_disable(const struct pci_device *d);

/*
 * Turn the device's MSI on (PCI 3.0, 6.8.1) with the address and data of arch_service_msi(). False
 * when the device or the machine has none.
 */
bool pci_enable_msi(const struct pci_device *d);

/* A register of 32 bits, `reg` bytes into such memory. Functions, so that a test can be the card.
 */
u32 mmio_read(const volatile void *base, u32 reg);
void mmio_write(volatile void *base, u32 reg, u32 value);

#endif
