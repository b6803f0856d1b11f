/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the guest writes to an IOAPIC, against a model of it: an entry that is on never reaches the
 * service CPU, nor has a delivery mode that could end it; all others are as they were written.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "arch/memory.h"
#include "core/log.h"
#include "lib/string.h"
#include "../../arch/x86/apic.h"
#include "../../arch/x86/hv.h"
#include "../../arch/x86/icr.h"
#include "../../arch/x86/ioapic.h"

#define SERVICE 5u
#define MASKED	(1u << 16)

/*
 * The registers are ordinary memory here, without the effect of a selection: so there is one window
 * for all numbers, and the tests look at single entries.
 */
static u32 page[PAGE_SIZE / 4] __attribute__((aligned(PAGE_SIZE)));
static struct boot_info info;
struct boot_info *machine = &info;
static struct arch_cpu arch[8];
static bool x2;

bool apic_is_x2(void)
{
	return x2;
}

bool icr_reaches_service_cpu(u32 icr, u32 destination, bool with_x2)
{
	assert_int_equal(with_x2, x2);
	assert_int_equal(icr & ~APIC_LOGICAL, 0);
	if (destination == (x2 ? ~0u : 0xffu))
		return true;
	return !(icr & APIC_LOGICAL) && destination == SERVICE;
}

static int setup(void **state)
{
	(void)state;
	memset(page, 0, sizeof(page));
	info.ioapics = (struct boot_ranges){1, {{(uintptr_t)page, 0x400}}};
	cpus[0].arch = &arch[0];
	x2 = false;
	return 0;
}

static ipa_t at(u32 offset)
{
	return IPA((uintptr_t)page + offset);
}

static u32 window(void)
{
	return page[4];
}

/* The lower half is written while the window, which stands for the upper half too, has `other`. */
static u32 low_after(u32 low, u32 other)
{
	page[0] = 0x10;
	page[4] = other;
	ioapic_guest_write(&cpus[0], at(0x10), low);
	assert_int_equal(page[0], 0x10); /* the guest's selection */
	return window();
}

static void what_is_covered(void **state)
{
	(void)state;
	assert_true(ioapic_covers(at(0)));
	assert_true(ioapic_covers(at(0xffc)));
	assert_false(ioapic_covers(IPA((uintptr_t)page + PAGE_SIZE)));
	assert_false(ioapic_covers(IPA((uintptr_t)page - 4)));
}

static void entries_are_written_as_they_are(void **state)
{
	(void)state;
	assert_int_equal(low_after(0x31, 1u << 24), 0x31);
	assert_int_equal(low_after(0x831, 1u << 24), 0x831);   /* logical */
	assert_int_equal(low_after(0x8131, 1u << 24), 0x8131); /* lowest priority, level */
	assert_int_equal(low_after(0x700, 0), 0x700);	       /* ExtINT for a guest CPU */
	assert_int_equal(low_after(MASKED | 0x500, SERVICE << 24), MASKED | 0x500);
}

static void what_reaches_the_service_cpu_is_masked(void **state)
{
	static const u32 to[] = {SERVICE << 24, 0xffu << 24};

	(void)state;
	for (x2 = false;; x2 = true) {
		for (u32 i = 0; i < ARRAY_SIZE(to); i++)
			for (u32 mode = 0; mode < 8; mode++)
				assert_int_equal(low_after(mode << 8 | 0x31, to[i]),
						 MASKED | mode << 8 | 0x31);
		if (x2)
			break;
	}
}

/* SMI, reserved, NMI, INIT and STARTUP are of no use for devices, whichever CPU they are for. */
static void modes_that_end_a_cpu_are_masked(void **state)
{
	static const u32 modes[] = {2, 3, 4, 5, 6};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(modes); i++)
		assert_int_equal(low_after(modes[i] << 8, 1u << 24), MASKED | modes[i] << 8);
}

/* The upper half is written last: the entry is masked first. */
static void a_late_destination(void **state)
{
	(void)state;
	page[0] = 0x11;
	page[4] = 0x31; /* the lower half, as it is read */
	ioapic_guest_write(&cpus[0], at(0x10), SERVICE << 24);
	assert_int_equal(page[0], 0x11);
	assert_int_equal(window(), SERVICE << 24);
	assert_true(log_count(LOG_ACCESS).kept);
}

static void other_registers(void **state)
{
	(void)state;
	ioapic_guest_write(&cpus[0], at(0), 0x01);
	assert_int_equal(page[0], 0x01);
	ioapic_guest_write(&cpus[0], at(0x10), 0x500);
	assert_int_equal(window(), 0x500); /* not an entry */
	ioapic_guest_write(&cpus[0], at(0x40), 0x31);
	assert_int_equal(page[16], 0x31);
	/* what is at no register is dropped */
	for (u32 offset = 0; offset < PAGE_SIZE; offset += 4) {
		if (offset == 0 || offset == 0x10 || offset == 0x40)
			continue;
		ioapic_guest_write(&cpus[0], at(offset), ~0u);
		assert_int_equal(page[offset / 4], 0);
	}
}

#define T(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(what_is_covered),
		T(entries_are_written_as_they_are),
		T(what_reaches_the_service_cpu_is_masked),
		T(modes_that_end_a_cpu_are_masked),
		T(a_late_destination),
		T(other_registers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
