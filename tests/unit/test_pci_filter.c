/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's writes to PCI configuration space, against a model of functions with BARs and
 * windows: nothing that decodes memory ever answers at an address of the management NIC,
 * configuration space stays where it is, and all other writes are carried out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "lib/string.h"
#include "net/pci.h"
#include "net/pci_filter.h"

#define HOST	 0x00u
#define BRIDGE	 0x08u
#define DEVICE	 0x30u
#define REGS	 64
#define COMMAND	 0x04u
#define MEMORY	 2u
#define NIC	 0xc1040000u
#define WIDE	 0x800001040000ull /* a second range, above 4 GiB */
#define NIC_SIZE 0x20000u
#define ROUNDS	 200000

/* Registers, and the bits of them that can be set. */
static struct function {
	u16 bdf;
	u32 reg[REGS], mask[REGS];
} functions[] = {{.bdf = HOST}, {.bdf = BRIDGE}, {.bdf = DEVICE}};

static const struct boot_ranges memory = {2, {{NIC, NIC_SIZE}, {WIDE, NIC_SIZE}}};
static const struct pci_guarded guarded = {0x20, &memory, {0xe0000000}, 255};
static u32 decoding_while_sized;
static u64 seed = 88172645463325252ull;

static u32 rnd(u32 limit)
{
	seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
	return (u32)(seed >> 20) % limit;
}

static struct function *find(u16 bdf)
{
	for (u32 i = 0; i < ARRAY_SIZE(functions); i++)
		if (functions[i].bdf == bdf)
			return &functions[i];
	fail();
	return NULL;
}

u32 pci_config_read(u16 bdf, u32 reg, u32 size)
{
	assert_int_equal(size, 4);
	assert_int_equal(reg % 4, 0);
	return find(bdf)->reg[reg / 4];
}

void pci_config_write(u16 bdf, u32 reg, u32 size, u32 value)
{
	struct function *f = find(bdf);
	u32 *r = &f->reg[reg / 4];

	assert_int_equal(size, 4);
	if (reg >= 0x10 && (f->reg[COMMAND / 4] & MEMORY))
		decoding_while_sized++;
	*r = (*r & ~f->mask[reg / 4]) | (value & f->mask[reg / 4]);
}

/* ---- the model ---- */

static void set(struct function *f, u32 reg, u32 value, u32 mask)
{
	f->reg[reg / 4] = value;
	f->mask[reg / 4] = mask;
}

static int setup(void **state)
{
	struct function *f = find(HOST);

	(void)state;
	set(f, 0x0c, 0, 0);
	set(f, 0x60, 0xe0000001, 0xf0000007);
	set(f, 0x64, 0, 0xf);
	f = find(BRIDGE);
	set(f, 0x0c, 1 << 16, 0);
	set(f, COMMAND, 0, 0x407);
	set(f, 0x10, 4, 0xfffff000); /* 64 bits, 4 KiB */
	set(f, 0x14, 0, ~0u);
	set(f, 0x20, 0x0000fff0, 0xfff0fff0);
	set(f, 0x24, 0x0001fff1, 0xfff0fff0);
	set(f, 0x28, 0, ~0u);
	set(f, 0x2c, 0, ~0u);
	set(f, 0x38, 0, 0xfffff801);
	f = find(DEVICE);
	set(f, 0x0c, 0, 0);
	set(f, COMMAND, 0, 0x407);
	set(f, 0x10, 0, 0xfff00000); /* 1 MiB */
	set(f, 0x14, 1, 0x0000ffe0); /* ports */
	set(f, 0x18, 4, 0xffffc000); /* 64 bits, 16 KiB */
	set(f, 0x1c, 0, ~0u);
	set(f, 0x20, 0, 0);	     /* none */
	set(f, 0x24, 0, 0xfffffff0); /* 16 bytes */
	set(f, 0x30, 0, 0xffff0001); /* ROM of 64 KiB */
	decoding_while_sized = 0;
	pci_filter_init(&guarded);
	return 0;
}

static bool meets_nic(u64 base, u64 size)
{
	return (base < NIC + NIC_SIZE && NIC < base + size) ||
	       (base < WIDE + NIC_SIZE && WIDE < base + size);
}

static bool answers_at_nic(const struct function *f)
{
	const u32 *r = f->reg;

	if (!(r[1] & MEMORY))
		return false;
	if (f->bdf == DEVICE)
		return meets_nic(r[4] & ~15u, 1 << 20) ||
		       meets_nic((u64)r[7] << 32 | (r[6] & ~15u), 16 << 10) ||
		       meets_nic(r[9] & ~15u, 16) ||
		       ((r[12] & 1) && meets_nic(r[12] & ~0x7ffu, 64 << 10));
	for (u32 i = 0; i < 2; i++) {
		u64 base = (r[8 + i] & 0xfff0ull) << 16 | (i ? (u64)r[10] << 32 : 0);
		u64 limit = (r[8 + i] & 0xfff00000) | 0xfffff | (i ? (u64)r[11] << 32 : 0);

		if (base <= limit && meets_nic(base, limit - base + 1))
			return true;
	}
	return meets_nic((u64)r[5] << 32 | (r[4] & ~15u), 4 << 10) ||
	       ((r[14] & 1) && meets_nic(r[14] & ~0x7ffu, 2 << 10));
}

/* The guest writes; returns whether it was carried out. */
static bool guest_writes(u16 bdf, u32 reg, u32 size, u32 value)
{
	struct function *f = find(bdf), before = *f;
	bool allowed = pci_filter_allows(bdf, reg, size, value);
	u32 shift = reg % 4 * 8, mask = size == 4 ? ~0u : ((1u << size * 8) - 1) << shift;

	/* what it looked at is as it was */
	assert_memory_equal(f, &before, sizeof(before));
	assert_int_equal(decoding_while_sized, 0);
	if (allowed && reg / 4 == COMMAND / 4)
		f->reg[1] = ((f->reg[1] & ~mask) | (value << shift & mask)) & f->mask[1];
	else if (allowed) {
		u32 *r = &f->reg[reg / 4], bits = mask & f->mask[reg / 4];

		*r = (*r & ~bits) | (value << shift & bits);
	}
	return allowed;
}

/* ---- the tests ---- */

static void configuration_space_stays(void **state)
{
	(void)state;
	assert_false(guest_writes(HOST, 0x60, 4, 0xd0000001));
	assert_false(guest_writes(HOST, 0x64, 4, 1));
	for (u32 i = 0; i < 8; i++)
		assert_false(guest_writes(HOST, 0x60 + i, 1, 0));
	assert_true(guest_writes(HOST, 0x5c, 4, 0));
	assert_true(guest_writes(HOST, 0x68, 4, 0));
	assert_true(guest_writes(DEVICE, 0x60, 4, 0));
	/* what has another value is another register */
	find(HOST)->reg[0x60 / 4] = 0xd0000001;
	pci_filter_init(&guarded);
	assert_true(guest_writes(HOST, 0x60, 4, 0));
}

static void a_device_is_not_placed_on_the_nic(void **state)
{
	(void)state;
	assert_true(guest_writes(DEVICE, COMMAND, 2, MEMORY | 4));
	assert_true(guest_writes(DEVICE, 0x10, 4, 0xc0000000));
	assert_false(guest_writes(DEVICE, 0x10, 4, NIC & ~0xfffffu));
	assert_false(guest_writes(DEVICE, 0x12, 2, NIC >> 16));
	assert_false(guest_writes(DEVICE, 0x24, 4, NIC + NIC_SIZE - 16));
	assert_true(guest_writes(DEVICE, 0x24, 4, NIC + NIC_SIZE));
	assert_true(guest_writes(DEVICE, 0x24, 4, NIC - 16));
	assert_false(guest_writes(DEVICE, 0x30, 4, NIC | 1));
	assert_true(guest_writes(DEVICE, 0x30, 4, NIC)); /* off */
	assert_false(guest_writes(DEVICE, 0x30, 1, 1));
	/* sizing, and ports of the same number */
	assert_true(guest_writes(DEVICE, 0x10, 4, ~0u));
	assert_true(guest_writes(DEVICE, 0x14, 4, NIC | 1));
	/* while it does not decode it may have any address, which counts when it is turned on */
	assert_true(guest_writes(DEVICE, COMMAND, 2, 0));
	assert_true(guest_writes(DEVICE, 0x10, 4, NIC & ~0xfffffu));
	assert_false(guest_writes(DEVICE, COMMAND, 2, MEMORY));
	assert_false(guest_writes(DEVICE, COMMAND, 4, MEMORY));
	assert_true(guest_writes(DEVICE, COMMAND, 2, 4));
}

static void a_bridge_does_not_lead_past_the_nic(void **state)
{
	(void)state;
	assert_true(guest_writes(BRIDGE, COMMAND, 2, MEMORY));
	assert_true(guest_writes(BRIDGE, 0x20, 4, 0xc0f0c000));
	assert_false(guest_writes(BRIDGE, 0x20, 4, 0xc100c000));
	assert_true(guest_writes(BRIDGE, 0x28, 4, 0x8000));
	assert_false(guest_writes(BRIDGE, 0x2c, 4, 0x8000) &&
		     guest_writes(BRIDGE, 0x24, 4, 0x01000100));
	assert_false(answers_at_nic(find(BRIDGE)));
}

static void nothing_takes_its_place(void **state)
{
	static const u32 values[] = {0,	     ~0u,	NIC,	    NIC + 0x10000,
				     0x8000, (u32)WIDE, 0xc0000000, 0xc100c100,
				     0xfff0, 1,		MEMORY,	    7};
	u32 refused = 0;

	(void)state;
	for (u32 i = 0; i < ROUNDS; i++) {
		u16 bdf = rnd(2) ? DEVICE : BRIDGE;
		u32 size = 1u << rnd(3), reg = rnd(3) ? 0x10 + rnd(0x30 / 4) * 4 : COMMAND;
		u32 value = values[rnd(ARRAY_SIZE(values))];

		reg += rnd(4 / size) * size;
		refused += !guest_writes(bdf, reg, size, rnd(4) ? value : value >> 16);
		assert_false(answers_at_nic(find(bdf)));
		if (!rnd(1000))
			setup(NULL);
	}
	print_message("%u of %u writes refused\n", refused, ROUNDS);
	assert_true(refused > ROUNDS / 1000 && refused < ROUNDS / 2);
}

#define T(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(configuration_space_stays),
		T(a_device_is_not_placed_on_the_nic),
		T(a_bridge_does_not_lead_past_the_nic),
		T(nothing_takes_its_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
