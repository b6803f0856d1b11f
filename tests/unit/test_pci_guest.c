/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest's writes to configuration space in memory: where they exit, and what becomes of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include "lib/errno.h"
#include "lib/string.h"
#include "net/pci.h"
#include "net/pci_guest.h"
#include "stage2/hide.h"

#define ECAM	0x4010000000ull
#define NIC_BDF 0x20
#define OTHER	0x31

static const struct boot_ranges memory = {1, {{0xc1040000, 0x20000}}};
static struct pci_guarded guarded = {NIC_BDF, &memory, {ECAM}, 15};
static char hidden[200];
static bool locked, allows;
static u32 asked, written;

/* ---- what the code under test calls ---- */

static int note(const char *what, u64 base, u64 size)
{
	size_t len = strlen(hidden);

	assert_true(snprintf(hidden + len, sizeof(hidden) - len, "%s %llx %llx\n", what, base,
			     size) > 0);
	return 0;
}

int hide_device(u64 base, u64 size)
{
	return note("all", base, size);
}

int hide_from_writes(u64 base, u64 size)
{
	return note("writes", base, size);
}

void pci_lock(void)
{
	assert_false(locked);
	locked = true;
}

void pci_unlock(void)
{
	assert_true(locked);
	locked = false;
}

bool pci_filter_allows(u16 bdf, u32 reg, u32 size, u32 value)
{
	assert_true(locked);
	assert_int_equal(bdf, OTHER);
	assert_int_equal(reg, 0x12);
	assert_int_equal(size, 2);
	assert_int_equal(value, 0xc104);
	asked++;
	return allows;
}

void pci_config_write(u16 bdf, u32 reg, u32 size, u32 value)
{
	assert_true(locked && allows);
	assert_int_equal(bdf, OTHER);
	assert_int_equal(reg, 0x12);
	assert_int_equal(size, 2);
	assert_int_equal(value, 0xc104);
	written++;
}

/* ---- the tests ---- */

static ipa_t at(u16 bdf, u32 reg)
{
	return IPA(ECAM + ((u64)bdf << 12) + reg);
}

static void nothing_is_covered_without_a_nic(void **state)
{
	(void)state;
	assert_false(pci_guest_covers(IPA(0)));
	assert_false(pci_guest_covers(IPA(ECAM)));
}

static void all_but_the_nic_exits_on_writes(void **state)
{
	(void)state;
	assert_int_equal(pci_guest_hide(&guarded), 0);
	assert_string_equal(hidden, "all 4010020000 1000\n"
				    "writes 4010000000 20000\n"
				    "writes 4010021000 fdf000\n");
	assert_false(pci_guest_covers(IPA(ECAM - 1)));
	assert_true(pci_guest_covers(IPA(ECAM)));
	assert_true(pci_guest_covers(IPA(ECAM + 0xffffff)));
	assert_false(pci_guest_covers(IPA(ECAM + 0x1000000)));
}

static void a_write_is_carried_out_if_it_may_be(void **state)
{
	(void)state;
	allows = true;
	pci_guest_write(at(OTHER, 0x12), 2, 0xc104);
	assert_int_equal(written, 1);
	allows = false;
	pci_guest_write(at(OTHER, 0x12), 2, 0xc104);
	assert_int_equal(asked, 2);
	assert_int_equal(written, 1);
}

static void these_are_lost(void **state)
{
	(void)state;
	allows = true;
	pci_guest_write(at(NIC_BDF, 0x12), 2, 0xc104);
	pci_guest_write(at(OTHER, 0x13), 2, 0xc104);
	pci_guest_write(at(OTHER, 0x12), 4, 0xc104);
	assert_int_equal(asked, 2);
	assert_int_equal(written, 1);
	assert_false(locked);
}

static void all_by_ports(void **state)
{
	(void)state;
	hidden[0] = 0;
	guarded.ecam = PA(0);
	assert_int_equal(pci_guest_hide(&guarded), 0);
	assert_string_equal(hidden, "");
	assert_false(pci_guest_covers(IPA(0)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_covered_without_a_nic),
		cmocka_unit_test(all_but_the_nic_exits_on_writes),
		cmocka_unit_test(a_write_is_carried_out_if_it_may_be),
		cmocka_unit_test(these_are_lost),
		cmocka_unit_test(all_by_ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
