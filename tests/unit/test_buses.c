/* SPDX-License-Identifier: BSD-2-Clause */
/* The last bus that a machine's devices can use; the test has its configuration space. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "arch/device.h"
#include "arch/service.h"
#include "lib/string.h"
#include "net/pci.h"

#define BDF(bus, device, function) ((u16)((bus) << 8 | (device) << 3 | (function)))
#define EXT			   0x100

static struct function {
	u16 bdf;
	u8 type;
	u8 secondary, subordinate;
	u16 extended[4]; /* ids of the extended capabilities; 0 ends the list */
	u8 primary;	 /* as it is, if other than the bus */
} functions[16];
static u32 nr_functions, reads;

#define ENDPOINT(...)                                                                              \
	{                                                                                          \
		.bdf = BDF(__VA_ARGS__)                                                            \
	}
#define BRIDGE(s, e, ...)                                                                          \
	{                                                                                          \
		.type = 1, .secondary = s, .subordinate = e, .bdf = BDF(__VA_ARGS__)               \
	}
#define PORT(s, e, ...)                                                                            \
	{                                                                                          \
		.type = 0x81, .secondary = s, .subordinate = e, .bdf = BDF(__VA_ARGS__)            \
	}

static u32 extended(const struct function *f, u32 n)
{
	u32 next = n < 3 && f->extended[n + 1] ? EXT + 16 * (n + 1) : 0;

	return n < 4 && f->extended[n] ? next << 20 | 1u << 16 | f->extended[n] : 0;
}

u32 arch_pci_read(u16 bdf, u32 reg, u32 size)
{
	const struct function *f = NULL;

	assert_int_equal(size, 4);
	reads++;
	for (u32 i = 0; i < nr_functions; i++)
		if (functions[i].bdf == bdf)
			f = &functions[i];
	if (!f)
		return ~0u;
	switch (reg) {
	case 0x00:
		return 0x29228086;
	case 0x0c:
		return (u32)f->type << 16 | 0x10;
	case 0x18:
		return (u32)f->subordinate << 16 | (u32)f->secondary << 8 |
		       (f->primary ? f->primary : bdf >> 8);
	default:
		return reg >= EXT && reg % 16 == 0 ? extended(f, (reg - EXT) / 16) : 0;
	}
}

void arch_pci_write(u16 bdf, u32 reg, u32 size, u32 value)
{
	assert_int_equal(size, 4);
	(void)bdf, (void)reg, (void)value;
	fail(); /* the devices are the guest's */
}

bool arch_service_msi(u64 *address, u32 *data)
{
	(void)address, (void)data;
	return false;
}

static u32 last_bus(u32 end_bus, const struct function *f, u32 n)
{
	memcpy(functions, f, n * sizeof(*f));
	nr_functions = n;
	reads = 0;
	pci_init(PA(0), 0);
	return pci_last_bus(end_bus);
}
#define LAST_BUS(end, ...)                                                                         \
	last_bus(end, (const struct function[]){__VA_ARGS__},                                      \
		 ARRAY_SIZE(((const struct function[]){__VA_ARGS__})))

static void devices_and_ranges_of_bridges_count(void **state)
{
	(void)state;
	assert_int_equal(LAST_BUS(255, ENDPOINT(0, 0, 0)), 0);
	/* of an empty slot too, and of a function other than 0 */
	assert_int_equal(LAST_BUS(255, ENDPOINT(0, 0, 0), PORT(1, 4, 0, 28, 0),
				  PORT(5, 12, 0, 28, 4), ENDPOINT(1, 0, 0)),
			 12);
	/* a host bridge that no range of a bridge names */
	assert_int_equal(LAST_BUS(255, ENDPOINT(0, 0, 0), ENDPOINT(0x80, 8, 0)), 0x80);
	assert_int_equal(LAST_BUS(255, ENDPOINT(0, 0, 0), ENDPOINT(255, 31, 0)), 255);
	/* without a function 0 there is no device */
	assert_int_equal(LAST_BUS(255, ENDPOINT(0, 0, 0), BRIDGE(1, 9, 0, 1, 1)), 0);
	assert_int_equal(LAST_BUS(63, ENDPOINT(0, 0, 0), BRIDGE(1, 90, 0, 1, 0)), 63);
}

static void a_bridge_without_a_range_leaves_no_bound(void **state)
{
	static const struct function foreign = {
		.bdf = BDF(0, 1, 0), .type = 1, .primary = 7, .secondary = 1, .subordinate = 2};
	static const struct function cardbus = {
		.bdf = BDF(0, 1, 0), .type = 2, .secondary = 1, .subordinate = 2};

	(void)state;
	assert_int_equal(LAST_BUS(255, BRIDGE(0, 0, 0, 1, 0)), 255);
	assert_int_equal(LAST_BUS(255, BRIDGE(4, 3, 0, 1, 0)), 255);
	assert_int_equal(LAST_BUS(255, BRIDGE(1, 3, 0, 1, 0), BRIDGE(1, 3, 1, 0, 0)), 255);
	assert_int_equal(last_bus(255, &foreign, 1), 255);
	assert_int_equal(last_bus(255, &cardbus, 1), 255);
}

static void virtual_functions_on_a_root_bus_leave_no_bound(void **state)
{
	static const struct function root = {.bdf = BDF(0, 1, 0), .extended = {1, 0x10}};
	static const struct function other_root[] = {
		BRIDGE(1, 2, 0, 1, 0),
		{.bdf = BDF(0x20, 0, 0), .extended = {0x10}},
	};
	static const struct function behind[] = {
		BRIDGE(1, 2, 0, 1, 0),
		{.bdf = BDF(1, 0, 0), .extended = {1, 2, 0x10}},
	};
	static const struct function others = {.bdf = BDF(0, 1, 0), .extended = {1, 2, 3}};

	(void)state;
	assert_int_equal(last_bus(255, &root, 1), 255);
	assert_int_equal(last_bus(255, other_root, 2), 255);
	/* behind a bridge they stay in its range */
	assert_int_equal(last_bus(255, behind, 2), 2);
	assert_int_equal(last_bus(255, &others, 1), 0);
}

/* The scan is 32 reads a bus, and few for each device. */
static void the_scan_is_short(void **state)
{
	(void)state;
	LAST_BUS(255, ENDPOINT(0, 0, 0), BRIDGE(1, 1, 0, 1, 0));
	assert_in_range(reads, 256 * 32, 256 * 32 + 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(devices_and_ranges_of_bridges_count),
		cmocka_unit_test(a_bridge_without_a_range_leaves_no_bound),
		cmocka_unit_test(virtual_functions_on_a_root_bus_leave_no_bound),
		cmocka_unit_test(the_scan_is_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
