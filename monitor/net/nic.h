/* SPDX-License-Identifier: BSD-2-Clause */
/* Network cards: one struct of operations for each driver, probed by PCI id. Service CPU only. */
#ifndef NET_NIC_H
#define NET_NIC_H

#include "net/pci.h"

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
	 * is stopped and its memory is back in the pool.
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

/* A window of the NIC: the monitor's tables map each uncached at its own address (start.c). */
void *mmio_at(pa_t pa);

/* A register of 32 bits, `reg` bytes from base. Functions, so that a test can take the card's
 * place.
 */
u32 mmio_read(const volatile void *base, u32 reg);
void mmio_write(volatile void *base, u32 reg, u32 value);

#endif
