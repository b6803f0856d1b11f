/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Intel 82540EM (PCI/PCI-X Family of Gigabit Ethernet Controllers, Software Developer's Manual,
 * below "SDM") and 82574L (82574 GbE Controller Family datasheet), one queue, legacy descriptors,
 * which both know. The 82540EM has no MSI and is polled.
 */
#include "arch/barrier.h"
#include "arch/memory.h"
#include "arch/time.h"
#include "core/log.h"
#include "core/pool.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "net/nic.h"

/* Registers (SDM 13.4, 82574 10.2), byte offsets into BAR 0 */
enum {
	CTRL = 0x0000,
	STATUS = 0x0008,
	EERD = 0x0014,
	ICR = 0x00c0,
	ITR = 0x00c4,
	IMS = 0x00d0,
	IMC = 0x00d8,
	RCTL = 0x0100,
	TCTL = 0x0400,
	TIPG = 0x0410,
	RDBAL = 0x2800,
	RDBAH = 0x2804,
	RDLEN = 0x2808,
	RDH = 0x2810,
	RDT = 0x2818,
	TDBAL = 0x3800,
	TDBAH = 0x3804,
	TDLEN = 0x3808,
	TDH = 0x3810,
	TDT = 0x3818,
	TXDCTL = 0x3828,
	MPC = 0x4010, /* frames missed for lack of descriptors; cleared by reading */
	MTA = 0x5200, /* multicast table, 128 words */
	RAL = 0x5400, /* receive addresses, 16 pairs of RAL and RAH */
	RAH = 0x5404,
};

#define REGS_SIZE 0x20000u

#define CTRL_MASTER_OFF (1u << 2) /* 82574: no new requests on PCIe */
#define CTRL_LRST	(1u << 3)
#define CTRL_ASDE	(1u << 5) /* speed as the PHY negotiated it */
#define CTRL_SLU	(1u << 6) /* set link up */
#define CTRL_ILOS	(1u << 7)
#define CTRL_RST	(1u << 26)
#define CTRL_VME	(1u << 30)
#define CTRL_PHY_RST	(1u << 31)

#define STATUS_LU	 (1u << 1)
#define STATUS_MASTER_ON (1u << 19) /* 82574 */

#define EERD_START   (1u << 0)
#define EERD_DONE    (1u << 4)
#define EERD_WORD(n) ((n) << 8)
#define EERD_DATA(v) ((v) >> 16)

#define INT_LSC	   (1u << 2)
#define INT_RXDMT0 (1u << 4)
#define INT_RXO	   (1u << 6)
#define INT_RXT0   (1u << 7)

#define RCTL_EN	   (1u << 1)
#define RCTL_BAM   (1u << 15) /* broadcasts too */
#define RCTL_SECRC (1u << 26) /* without frame check sequence */

#define TCTL_EN	  (1u << 1)
#define TCTL_PSP  (1u << 3) /* pad short frames */
#define TCTL_CT	  (0x0fu << 4)
#define TCTL_COLD (0x40u << 12)

#define TIPG_COPPER	  0x0060200au /* SDM 13.4.34 */
#define TXDCTL_COUNT_DESC (1u << 22)  /* 82574 10.2.6.10: must be set */
#define RAH_VALID	  (1u << 31)
#define ITR_64US	  250u /* at most one interrupt in 64 us; unit 256 ns */

#define RX_DD  (1u << 0)
#define RX_EOP (1u << 1)
#define TX_EOP (1u << 0)
#define TX_FCS (1u << 1)
#define TX_RS  (1u << 3)
#define TX_DD  (1u << 0)

struct rx_desc { /* SDM 3.2.3 */
	u64 address;
	u16 length;
	u16 checksum;
	u8 status;
	u8 errors;
	u16 special;
};

struct tx_desc { /* SDM 3.3.3 */
	u64 address;
	u16 length;
	u8 cso;
	u8 command;
	u8 status;
	u8 css;
	u16 special;
};

static const struct model {
	u16 vendor, device;
	bool pcie;
} models[] = {
	{0x8086, 0x100e, false}, /* 82540EM: QEMU's and Bochs's e1000 */
	{0x8086, 0x10d3, true},	 /* 82574L: QEMU's e1000e */
};

static const struct model *find_model(const struct pci_device *d)
{
	for (u32 i = 0; i < ARRAY_SIZE(models); i++)
		if (d->vendor == models[i].vendor && d->device == models[i].device)
			return &models[i];
	return NULL;
}

static bool e1000_match(const struct pci_device *d)
{
	return find_model(d);
}

#define RING	 128u
#define BUF_SIZE 2048u

/* All memory of the driver: one contiguous piece of the pool, the rings first for alignment. */
struct e1000 {
	struct rx_desc rx[RING];
	struct tx_desc tx[RING];
	u8 rx_buf[RING][BUF_SIZE];
	u8 tx_buf[RING][BUF_SIZE];
	volatile void *regs;
	struct pci_device pci;
	const struct model *model;
	u32 rx_next;   /* the descriptor that the card fills next */
	u32 tx_next;   /* the one that the driver fills next */
	u32 tx_clean;  /* the oldest that the card may still own */
	bool skipping; /* in the middle of a frame that spans descriptors */
};

#define E1000_PAGES (ALIGN_UP(sizeof(struct e1000), PAGE_SIZE) / PAGE_SIZE)

static u32 reg_read(const struct e1000 *e, u32 reg)
{
	return mmio_read(e->regs, reg);
}

static void reg_write(const struct e1000 *e, u32 reg, u32 value)
{
	mmio_write(e->regs, reg, value);
}

static void delay_us(u64 us)
{
	u64 end = arch_time_us() + us;

	while (arch_time_us() < end)
		arch_relax();
}

/* Wait until the bits are clear. False when that takes more than 100 ms. */
static bool wait_clear(const struct e1000 *e, u32 reg, u32 bits)
{
	u64 end = arch_time_us() + 100000;

	while (reg_read(e, reg) & bits) {
		if (arch_time_us() > end)
			return false;
		arch_relax();
	}
	return true;
}

/* Stop the card and reset it (SDM 14.3, 82574 4.6). */
static int reset_card(const struct e1000 *e)
{
	reg_write(e, IMC, ~0u);
	reg_write(e, RCTL, 0);
	reg_write(e, TCTL, TCTL_PSP);
	if (e->model->pcie) {
		/* requests under way must end before the reset, or the bus waits for them */
		reg_write(e, CTRL, reg_read(e, CTRL) | CTRL_MASTER_OFF);
		if (!wait_clear(e, STATUS, STATUS_MASTER_ON))
			log_warn("e1000: DMA is still under way at reset");
	}
	delay_us(10);
	reg_write(e, CTRL, reg_read(e, CTRL) | CTRL_RST);
	/* not to be touched for a moment, and its EEPROM is read anew: the MAC address comes from
	 * there */
	delay_us(10000);
	if (!wait_clear(e, CTRL, CTRL_RST))
		return -EIO;
	reg_write(e, IMC, ~0u);
	(void)reg_read(e, ICR);
	return 0;
}

/* SDM 13.4.4: of the 82540EM. 0xffff if it does not answer. */
static u32 read_eeprom(const struct e1000 *e, u32 word)
{
	u64 end = arch_time_us() + 100000;
	u32 value;

	reg_write(e, EERD, EERD_WORD(word) | EERD_START);
	while (!((value = reg_read(e, EERD)) & EERD_DONE))
		if (arch_time_us() > end)
			return 0xffff;
	return EERD_DATA(value);
}

/* The reset reads the address from the EEPROM (SDM 5.6.1), but not in Bochs. */
static void load_mac(const struct e1000 *e)
{
	if (reg_read(e, RAH) & RAH_VALID || e->model->pcie)
		return;
	reg_write(e, RAL, read_eeprom(e, 0) | read_eeprom(e, 1) << 16);
	reg_write(e, RAH, read_eeprom(e, 2) | RAH_VALID);
}

static int read_mac(const struct e1000 *e, u8 *mac)
{
	u32 low, high;

	load_mac(e);
	low = reg_read(e, RAL);
	high = reg_read(e, RAH);
	for (u32 i = 0; i < 6; i++)
		mac[i] = (u8)((i < 4 ? low >> 8 * i : high >> 8 * (i - 4)));
	/* multicast bit, or nothing there */
	if (!(high & RAH_VALID) || mac[0] & 1 || !(low | (high & 0xffff)))
		return -EIO;
	return 0;
}

/* Receive the card's own address and broadcasts only (SDM 14.4). */
static void start_receive(struct e1000 *e)
{
	u64 ring = arch_pa(e->rx).v;

	for (u32 i = 0; i < 128; i++)
		reg_write(e, MTA + 4 * i, 0);
	for (u32 i = 1; i < 16; i++)
		reg_write(e, RAH + 8 * i, 0);
	for (u32 i = 0; i < RING; i++)
		e->rx[i].address = arch_pa(e->rx_buf[i]).v;
	reg_write(e, RDBAL, (u32)ring);
	reg_write(e, RDBAH, (u32)(ring >> 32));
	reg_write(e, RDLEN, sizeof(e->rx));
	reg_write(e, RDH, 0);
	arch_wmb();
	reg_write(e, RCTL, RCTL_EN | RCTL_BAM | RCTL_SECRC);
	reg_write(e, RDT, RING - 1);
}

/* SDM 14.5 */
static void start_transmit(struct e1000 *e)
{
	u64 ring = arch_pa(e->tx).v;

	for (u32 i = 0; i < RING; i++)
		e->tx[i].address = arch_pa(e->tx_buf[i]).v;
	reg_write(e, TDBAL, (u32)ring);
	reg_write(e, TDBAH, (u32)(ring >> 32));
	reg_write(e, TDLEN, sizeof(e->tx));
	reg_write(e, TDH, 0);
	reg_write(e, TDT, 0);
	reg_write(e, TXDCTL, reg_read(e, TXDCTL) | TXDCTL_COUNT_DESC);
	reg_write(e, TIPG, TIPG_COPPER);
	reg_write(e, TCTL, TCTL_EN | TCTL_PSP | TCTL_CT | TCTL_COLD);
}

static void e1000_stop(struct nic *n)
{
	struct e1000 *e = n->priv;

	reset_card(e);
	pci_disable(&e->pci);
	n->priv = NULL;
	n->has_irq = false;
	n->link_up = false;
	pool_free(e, E1000_PAGES);
}

static void e1000_ack_irq(struct nic *n)
{
	struct e1000 *e = n->priv;
	u32 causes = reg_read(e, ICR);

	if (causes)
		reg_write(e, ICR, causes); /* reading clears it, but not in every mode (82574) */
	n->link_up = reg_read(e, STATUS) & STATUS_LU;
	n->rx_dropped += reg_read(e, MPC);
}

static int e1000_start(struct nic *n, const struct pci_device *d)
{
	struct e1000 *e;
	u32 ctrl;
	int err;

	if (d->bar[0].io || d->bar[0].size < REGS_SIZE) {
		log_error("e1000: no usable BAR 0 (address %#llx, size %#llx)", d->bar[0].base,
			  d->bar[0].size);
		return -ENODEV;
	}
	e = pool_alloc(E1000_PAGES);
	if (!e)
		return -ENOMEM;
	e->pci = *d;
	e->model = find_model(d);
	e->regs = mmio_at(PA(d->bar[0].base));
	n->priv = e;
	pci_decode(d);
	err = e->regs ? reset_card(e) : -EIO;
	if (err)
		goto fail;
	pci_enable(d);
	err = read_mac(e, n->mac);
	if (err) {
		log_error("e1000: the card has no MAC address");
		goto fail;
	}
	ctrl = reg_read(e, CTRL) &
	       ~(CTRL_MASTER_OFF | CTRL_LRST | CTRL_ILOS | CTRL_VME | CTRL_PHY_RST);
	reg_write(e, CTRL, ctrl | CTRL_SLU | CTRL_ASDE);
	start_receive(e);
	start_transmit(e);
	n->has_irq = pci_enable_msi(d);
	if (n->has_irq) {
		reg_write(e, ITR, ITR_64US);
		reg_write(e, IMS, INT_RXT0 | INT_RXO | INT_RXDMT0 | INT_LSC);
	}
	e1000_ack_irq(n);
	return 0;
fail:
	pci_disable(d);
	n->priv = NULL;
	pool_free(e, E1000_PAGES);
	return err;
}

static size_t e1000_receive(struct nic *n, void *buf, size_t room)
{
	struct e1000 *e = n->priv;

	for (u32 tries = 0; tries < RING; tries++) {
		u32 i = e->rx_next;
		struct rx_desc *d = &e->rx[i];
		u8 status = READ_ONCE(d->status);
		bool whole = status & RX_EOP, good;
		size_t len;

		if (!(status & RX_DD))
			return 0;
		arch_rmb(); /* the rest of the descriptor is only good once DD is seen */
		len = READ_ONCE(d->length);
		good = whole && !e->skipping && !READ_ONCE(d->errors) && len >= NIC_FRAME_MIN &&
		       len <= MIN(room, (size_t)NIC_FRAME_MAX);
		if (good)
			memcpy(buf, e->rx_buf[i], len);
		e->skipping = !whole;
		d->status = 0;
		arch_wmb(); /* the card may fill it again from here on */
		reg_write(e, RDT, i);
		e->rx_next = (i + 1) % RING;
		if (good) {
			n->rx_packets++;
			return len;
		}
		n->rx_dropped += whole;
	}
	return 0;
}

static int e1000_send(struct nic *n, const void *frame, size_t len)
{
	struct e1000 *e = n->priv;
	struct tx_desc *d = &e->tx[e->tx_next];
	u32 after = (e->tx_next + 1) % RING;

	if (len < NIC_FRAME_MIN || len > NIC_FRAME_MAX)
		return -EMSGSIZE;
	while (e->tx_clean != e->tx_next && READ_ONCE(e->tx[e->tx_clean].status) & TX_DD)
		e->tx_clean = (e->tx_clean + 1) % RING;
	if (after == e->tx_clean) {
		n->tx_dropped++;
		return -EAGAIN;
	}
	memcpy(e->tx_buf[e->tx_next], frame, len);
	d->length = (u16)len;
	d->command = TX_EOP | TX_FCS | TX_RS;
	d->status = 0;
	arch_wmb();
	e->tx_next = after;
	reg_write(e, TDT, after);
	n->tx_packets++;
	return 0;
}

const struct nic_ops nic_e1000 = {
	.name = "e1000",
	.match = e1000_match,
	.start = e1000_start,
	.stop = e1000_stop,
	.receive = e1000_receive,
	.send = e1000_send,
	.ack_irq = e1000_ack_irq,
};
