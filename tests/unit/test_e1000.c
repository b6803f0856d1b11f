/* SPDX-License-Identifier: BSD-2-Clause */
/* The e1000 driver; the test simulates the card. */
#include "fake.h"
#include "arch/device.h"
#include "arch/service.h"
#include "core/pool.h"
#include "lib/errno.h"
#include "net/nic.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define BDF	 0x18
#define BAR	 0xfeb80000u
#define BAR_SIZE 0x20000u
#define MSI_CAP	 0xd0

enum {
	CTRL = 0,
	STATUS = 8,
	ICR = 0xc0,
	IMS = 0xd0,
	RCTL = 0x100,
	TCTL = 0x400,
	RDBAL = 0x2800,
	RDLEN = 0x2808,
	RDT = 0x2818,
	TDBAL = 0x3800,
	TDLEN = 0x3808,
	TDT = 0x3818,
	MPC = 0x4010,
	EERD = 0x14,
	RAL = 0x5400,
	RAH = 0x5404
};

static struct {
	u32 config[64];
	u32 regs[BAR_SIZE / 4] __attribute__((aligned(8)));
	u16 eeprom[4];
	bool msi, stuck;
	u32 resets;
	struct pool_stats before;
} card;

static u32 reg(u32 r)
{
	return READ_ONCE(card.regs[r / 4]);
}

u32 arch_pci_read(u16 bdf, u32 r, u32 size)
{
	assert_int_equal(size, 4);
	return bdf == BDF ? card.config[r / 4] : ~0u;
}

void arch_pci_write(u16 bdf, u32 r, u32 size, u32 value)
{
	assert_int_equal(size, 4);
	assert_int_equal(bdf, BDF);
	if (r == 0x10)
		value &= ~(BAR_SIZE - 1);
	else if (r > 0x10 && r < 0x28)
		value = 0; /* no other BARs */
	else if (r == 4)
		value = (value & 0xffff) | (card.config[1] & 0xffff0000);
	card.config[r / 4] = value;
}

bool arch_service_msi(u64 *address, u32 *data)
{
	*address = 0xfee03000;
	*data = 0x51;
	return card.msi;
}

void *mmio_at(pa_t pa)
{
	assert_int_equal(pa.v, BAR);
	return card.regs;
}

/* Registers keep the written value, except those with an effect. */

#define CTRL_RST (1u << 26)

u32 mmio_read(const volatile void *base, u32 r)
{
	u32 value = card.regs[r / 4];

	assert_ptr_equal(base, card.regs);
	if (r == ICR || r == MPC)
		card.regs[r / 4] = 0;
	return value;
}

void mmio_write(volatile void *base, u32 r, u32 value)
{
	assert_ptr_equal(base, card.regs);
	if (r == ICR)
		value = card.regs[ICR / 4] & ~value;
	card.regs[r / 4] = value;
	if (r == EERD && value & 1 && !card.stuck)
		card.regs[EERD / 4] = value | 1u << 4 | (u32)card.eeprom[value >> 8 & 3] << 16;
	if (r == CTRL && value & CTRL_RST && !card.stuck) {
		/* never while it may still write into memory */
		assert_false(card.regs[RCTL / 4] & 2);
		card.regs[CTRL / 4] = card.regs[IMS / 4] = 0;
		card.resets++;
	}
}

static int setup(void **state)
{
	(void)state;
	fake_reset(0);
	fake_time_set(0, 10);
	memset(&card, 0, sizeof(card));
	card.config[0] = 0x10d38086;
	card.config[1] = 0x00100000; /* capabilities */
	card.config[0x10 / 4] = BAR;
	card.config[0x34 / 4] = MSI_CAP;
	card.config[MSI_CAP / 4] = 0x00800005; /* 64-bit MSI, last */
	card.regs[RAL / 4] = 0x12005452;
	card.regs[RAH / 4] = 0x80005634;
	card.regs[STATUS / 4] = 2;
	pool_stats(&card.before);
	return 0;
}

static u64 leaked(void)
{
	struct pool_stats s;

	pool_stats(&s);
	return s.used_pages - card.before.used_pages;
}

static int start(struct nic *n)
{
	struct pci_device d;

	memset(n, 0, sizeof(*n));
	assert_int_equal(pci_probe(BDF, &d), 0);
	assert_int_equal(d.bar[0].base, BAR);
	assert_int_equal(d.bar[0].size, BAR_SIZE);
	assert_true(nic_e1000.match(&d));
	n->ops = &nic_e1000;
	return nic_e1000.start(n, &d);
}

struct desc {
	u64 address;
	u16 length, checksum;
	u8 status, errors;
	u16 special;
};

/* The card receives: descriptor i gets these bytes. */
static void deliver(u32 i, const void *bytes, u16 len, u8 status, u8 errors)
{
	struct desc *ring = arch_ptr(PA(reg(RDBAL)));
	struct desc *d = &ring[i % (reg(RDLEN) / 16)];

	memcpy(arch_ptr(PA(d->address)), bytes, len);
	d->length = len;
	d->errors = errors;
	WRITE_ONCE(d->status, status);
}

static u8 frame[2048], buf[2048];
#define DONE 1
#define EOP  2

static void starts_and_stops(void **state)
{
	struct nic n;

	(void)state;
	card.msi = true;
	assert_int_equal(start(&n), 0);
	assert_memory_equal(n.mac, "\x52\x54\x00\x12\x34\x56", 6);
	assert_true(n.link_up);
	assert_true(n.has_irq);
	assert_int_equal(card.config[MSI_CAP / 4] & 0x710000, 0x010000);
	assert_int_equal(card.config[MSI_CAP / 4 + 1], 0xfee03000);
	assert_int_equal(card.config[MSI_CAP / 4 + 3] & 0xffff, 0x51);
	assert_int_equal(card.config[1] & 0x406, 0x406); /* memory, DMA, no INTx */
	assert_true(reg(IMS));
	assert_true(reg(CTRL) & 0x40); /* link up */
	assert_true(reg(RCTL) & 2);
	assert_true(reg(TCTL) & 2);
	nic_e1000.stop(&n);
	assert_int_equal(card.resets, 2);
	assert_int_equal(card.config[1] & 0x6, 0);
	assert_int_equal(leaked(), 0);
}

/* A card whose reset does not read its EEPROM: the driver does. A broken one is no address. */
static void reads_the_eeprom(void **state)
{
	struct nic n;

	(void)state;
	card.config[0] = 0x100e8086;
	card.regs[RAL / 4] = card.regs[RAH / 4] = 0;
	memcpy(card.eeprom, "\x52\x54\x00\xab\xcd\xef", 6);
	assert_int_equal(start(&n), 0);
	assert_memory_equal(n.mac, "\x52\x54\x00\xab\xcd\xef", 6);
	assert_int_equal(card.regs[RAH / 4], 0x8000efcd);
	nic_e1000.stop(&n);

	card.regs[RAL / 4] = card.regs[RAH / 4] = 0;
	memset(card.eeprom, 0xff, sizeof(card.eeprom));
	assert_int_equal(start(&n), -EIO);
	assert_int_equal(leaked(), 0);
}

static void polls_without_msi(void **state)
{
	struct nic n;

	(void)state;
	assert_int_equal(start(&n), 0);
	assert_false(n.has_irq);
	assert_int_equal(reg(IMS), 0);
	assert_int_equal(card.config[MSI_CAP / 4] & 0x10000, 0);
	nic_e1000.stop(&n);
}

static void a_list_of_capabilities_that_is_a_loop_ends(void **state)
{
	struct nic n;

	(void)state;
	card.msi = true;
	card.config[MSI_CAP / 4] = 0x00000001 | MSI_CAP << 8;
	assert_int_equal(start(&n), 0);
	assert_false(n.has_irq);
	nic_e1000.stop(&n);
}

static void refuses_a_dead_card(void **state)
{
	struct nic n;

	(void)state;
	card.regs[RAH / 4] = 0;
	assert_int_equal(start(&n), -EIO);
	assert_int_equal(card.config[1] & 0x6, 0);
	card.regs[RAH / 4] = 0x80005634;
	card.stuck = true;
	assert_int_equal(start(&n), -EIO);
	assert_int_equal(leaked(), 0);
	card.config[0] = ~0u;
	assert_int_equal(pci_probe(BDF, &(struct pci_device){0}), -ENODEV);
}

static void receives_round_and_round(void **state)
{
	struct nic n;
	u32 i;

	(void)state;
	assert_int_equal(start(&n), 0);
	assert_int_equal(nic_e1000.receive(&n, buf, sizeof(buf)), 0);
	for (i = 0; i < 1000; i++) {
		u16 len = (u16)(60 + i);

		memset(frame, (int)i, sizeof(frame));
		deliver(i, frame, len, DONE | EOP, 0);
		memset(buf, 0, sizeof(buf));
		assert_int_equal(nic_e1000.receive(&n, buf, sizeof(buf)), len);
		assert_memory_equal(buf, frame, len);
		assert_int_equal(reg(RDT), i % 128);
		assert_int_equal(nic_e1000.receive(&n, buf, sizeof(buf)), 0);
	}
	assert_int_equal(n.rx_packets, 1000);
	assert_int_equal(n.rx_dropped, 0);
	nic_e1000.stop(&n);
}

/* Invalid frames, which must not reach lwIP; then a valid one, which must. */
static void drops_what_is_not_a_frame(void **state)
{
	static const struct {
		u16 len;
		u8 status, errors;
	} bad[] = {
		{0, DONE | EOP, 0},    {13, DONE | EOP, 0},
		{1515, DONE | EOP, 0}, {2048, DONE | EOP, 0},
		{100, DONE | EOP, 1},  {100, DONE | EOP, 0x80},
		{2048, DONE, 0},       {100, DONE | EOP, 0}, /* one frame in two pieces */
		{1000, DONE, 0},       {1000, DONE, 0},
		{1000, DONE | EOP, 0}, /* and in three */
	};
	struct nic n;

	(void)state;
	assert_int_equal(start(&n), 0);
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++)
		deliver(i, frame, bad[i].len, bad[i].status, bad[i].errors);
	deliver(ARRAY_SIZE(bad), "good frame of 20 byte", 20, DONE | EOP, 0);
	assert_int_equal(nic_e1000.receive(&n, buf, sizeof(buf)), 20);
	assert_memory_equal(buf, "good frame of 20 byte", 20);
	assert_int_equal(n.rx_dropped, 8);
	assert_int_equal(n.rx_packets, 1);
	/* a wrong length is not used either */
	((struct desc *)arch_ptr(PA(reg(RDBAL))))[12].length = 0xffff;
	((struct desc *)arch_ptr(PA(reg(RDBAL))))[12].status = DONE | EOP;
	assert_int_equal(nic_e1000.receive(&n, buf, sizeof(buf)), 0);
	assert_int_equal(nic_e1000.receive(&n, buf, 10), 0);
	nic_e1000.stop(&n);
}

static void sends_until_the_ring_is_full(void **state)
{
	struct desc *ring;
	struct nic n;
	u32 sent = 0, size;

	(void)state;
	assert_int_equal(start(&n), 0);
	ring = arch_ptr(PA(reg(TDBAL)));
	size = reg(TDLEN) / 16;
	assert_int_equal(nic_e1000.send(&n, frame, 13), -EMSGSIZE);
	assert_int_equal(nic_e1000.send(&n, frame, 1515), -EMSGSIZE);
	while (!nic_e1000.send(&n, frame, 100 + sent))
		sent++;
	assert_int_equal(sent, size - 1); /* a full ring would look like an empty one */
	assert_int_equal(nic_e1000.send(&n, frame, 60), -EAGAIN);
	assert_int_equal(n.tx_dropped, 2);
	for (u32 i = 0; i < sent; i++)
		assert_int_equal(ring[i].length, 100 + i);
	((u8 *)ring)[12] = 1; /* the card is done with the first */
	assert_int_equal(nic_e1000.send(&n, frame, 60), 0);
	assert_int_equal(nic_e1000.send(&n, frame, 60), -EAGAIN);
	for (u32 i = 0; i < 1000; i++) {
		for (u32 k = 0; k < size; k++)
			((u8 *)&ring[k])[12] = 1;
		memset(frame, (int)i, 1514);
		assert_int_equal(nic_e1000.send(&n, frame, 1514), 0);
		assert_memory_equal(arch_ptr(PA(ring[(reg(TDT) + size - 1) % size].address)), frame,
				    1514);
	}
	nic_e1000.stop(&n);
}

static void counts_what_the_card_missed(void **state)
{
	struct nic n;

	(void)state;
	assert_int_equal(start(&n), 0);
	card.regs[MPC / 4] = 7;
	card.regs[ICR / 4] = 0x80;
	card.regs[STATUS / 4] = 0;
	nic_e1000.ack_irq(&n);
	assert_int_equal(n.rx_dropped, 7);
	assert_false(n.link_up);
	assert_int_equal(reg(ICR), 0);
	nic_e1000.ack_irq(&n);
	assert_int_equal(n.rx_dropped, 7);
	nic_e1000.stop(&n);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
		T(starts_and_stops),
		T(reads_the_eeprom),
		T(polls_without_msi),
		T(a_list_of_capabilities_that_is_a_loop_ends),
		T(refuses_a_dead_card),
		T(receives_round_and_round),
		T(drops_what_is_not_a_frame),
		T(sends_until_the_ring_is_full),
		T(counts_what_the_card_missed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
