/* SPDX-License-Identifier: BSD-2-Clause */
/* Is an IOMMU on? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "boot/iommu.h"
#include "lib/string.h"

#define BASE_A 0xfed90000ull
#define BASE_B 0xfed91000ull

static struct {
	struct acpi_header header;
	u8 fixed[12];
	u8 body[64];
} __attribute__((packed)) table;

static u64 on; /* the register that says so */
static u32 bit, reads;

static u32 read_register(u64 address)
{
	reads++;
	assert_true(address == BASE_A + 0x1c || address == BASE_B + 0x1c ||
		    address == BASE_A + 0x18 || address == BASE_B + 0x18);
	return address == on ? bit : ~bit;
}

static void make_table(const char *signature)
{
	memset(&table, 0, sizeof(table));
	memcpy(table.header.signature, signature, 4);
	table.header.length = 48;
	on = reads = 0;
}

static void add(u8 type, u8 length, u64 base)
{
	u8 *s = (u8 *)&table + table.header.length;

	s[0] = type;
	s[2] = length;
	memcpy(s + 8, &base, sizeof(base));
	table.header.length += length;
}

static u64 enabled(void)
{
	return iommu_enabled(&table.header, read_register);
}

static void intels(void **state)
{
	(void)state;
	bit = 1u << 31;
	make_table("DMAR");
	assert_int_equal(enabled(), 0);
	add(0, 16, BASE_A);
	add(1, 24, 0x1234); /* a range of memory: no IOMMU */
	add(0, 16, BASE_B);
	assert_int_equal(enabled(), 0);
	assert_int_equal(reads, 2);
	on = BASE_B + 0x1c;
	assert_int_equal(enabled(), BASE_B);
	on = BASE_A + 0x1c;
	assert_int_equal(enabled(), BASE_A);
}

static void amds(void **state)
{
	static const u8 types[] = {0x10, 0x11, 0x40};

	(void)state;
	bit = 1;
	for (u32 i = 0; i < ARRAY_SIZE(types); i++) {
		make_table("IVRS");
		add(0x20, 24, 0x1234); /* memory */
		add(types[i], 24, BASE_A);
		assert_int_equal(enabled(), 0);
		on = BASE_A + 0x18;
		assert_int_equal(enabled(), BASE_A);
	}
}

/* It ends, within the table. */
static void malformed(void **state)
{
	(void)state;
	bit = 1u << 31;
	assert_int_equal(iommu_enabled(NULL, read_register), 0);
	make_table("DMAR");
	add(0, 16, BASE_A);
	table.header.length -= 8; /* cut off */
	assert_int_equal(enabled(), 0);
	make_table("DMAR");
	add(2, 0, 0); /* no length: no end */
	table.header.length += 32;
	assert_int_equal(enabled(), 0);
	assert_int_equal(reads, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(intels),
		cmocka_unit_test(amds),
		cmocka_unit_test(malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
