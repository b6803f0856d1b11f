/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * QEMU's ACPI tables of `-machine virt,virtualization=on,gic-version=3,iommu=smmuv3 -cpu cortex-a72
 * -smp 4` (virt.acpi: MADT, FADT, DSDT, IORT and MCFG in a row), and what the guest gets to see of
 * them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "boot/acpi.h"
#include "boot/iort.h"
#include "lib/string.h"

__asm__(".pushsection .rodata\n"
	".balign 8\n"
	"virt_acpi: .incbin \"tests/unit/virt.acpi\"\n"
	"virt_acpi_end:\n"
	".popsection");
extern const u8 virt_acpi[], virt_acpi_end[];

#define MADT_GICR 14

static struct {
	struct acpi_rsdp rsdp;
	struct {
		struct acpi_header header;
		u64 entry[8];
	} __attribute__((packed)) xsdt;
	u8 tables[65536];
} machine;

static struct acpi_header *table(const struct acpi_rsdp *rsdp, const char *signature)
{
	struct acpi_header *t = (struct acpi_header *)acpi_find(rsdp, signature);

	assert_non_null(t);
	assert_int_equal(acpi_sum(t, t->length), 0);
	return t;
}

static struct acpi_header *dsdt_of(const struct acpi_rsdp *rsdp)
{
	struct acpi_header *dsdt;

	memcpy(&dsdt, (u8 *)table(rsdp, "FACP") + 140, sizeof(dsdt));
	assert_int_equal(acpi_sum(dsdt, dsdt->length), 0);
	return dsdt;
}

static int set_up(void **state)
{
	size_t size = (size_t)(virt_acpi_end - virt_acpi), at = 0;
	struct acpi_header *fadt = NULL;
	u64 dsdt = 0;
	u32 count = 0;

	(void)state;
	memset(&machine, 0, sizeof(machine));
	assert_true(size <= sizeof(machine.tables));
	memcpy(machine.tables, virt_acpi, size);
	while (at < size) {
		struct acpi_header *t = (void *)(machine.tables + at);

		at += t->length;
		if (acpi_is(t, "DSDT")) {
			dsdt = (uintptr_t)t;
			continue;
		}
		if (acpi_is(t, "FACP"))
			fadt = t;
		machine.xsdt.entry[count++] = (uintptr_t)t;
	}
	assert_true(fadt && dsdt && at == size);
	memcpy((u8 *)fadt + 140, &dsdt, sizeof(dsdt));
	acpi_seal(fadt);
	machine.xsdt.header.length = (u32)sizeof(machine.xsdt.header) + 8 * count;
	machine.rsdp.revision = 2;
	machine.rsdp.xsdt = (uintptr_t)&machine.xsdt;
	return 0;
}

/* The caller frees it. */
static const struct acpi_rsdp *build(u64 service, const struct boot_ranges *claimed)
{
	struct acpi_edit edit = {.service_hwid = service};
	struct acpi_suture *suture;
	void *buf = calloc(1, acpi_build_size(&machine.rsdp, &edit));

	if (claimed)
		edit.claimed = *claimed;
	acpi_build(&machine.rsdp, &edit, buf, &suture);
	return buf;
}

/* The GICC of a CPU. */
static u8 *gicc(const struct acpi_rsdp *rsdp, u64 hwid)
{
	struct acpi_header *madt = table(rsdp, "APIC");
	const struct acpi_madt_cpu *kind;
	const u8 *entry;
	u32 at = ACPI_MADT_ENTRIES;

	while ((entry = acpi_next_cpu(madt, &at, &kind)))
		if (acpi_le(entry + 68, 8) == hwid)
			return (u8 *)entry;
	fail();
	return NULL;
}

static void reads_the_machine(void **state)
{
	struct boot_ranges r = {0};
	u64 hwid[8];
	u32 end;

	(void)state;
	assert_int_equal(acpi_cpus(&machine.rsdp, hwid, 8), 4);
	for (u32 i = 0; i < 4; i++)
		assert_int_equal(hwid[i], i);
	assert_int_equal(acpi_ecam(&machine.rsdp, &end).v, 0x4010000000);
	assert_int_equal(end, 255);
	assert_int_equal(acpi_psci(&machine.rsdp), BOOT_PSCI_SMC);
	assert_true(acpi_redistributors(&machine.rsdp, 3, &r));
	assert_int_equal(r.count, 1);
	assert_int_equal(r.range[0].base, 0x80a0000);
	assert_int_equal(r.range[0].size, 0xf60000);
	assert_int_equal(acpi_distributor(&machine.rsdp).v, 0x8000000);
}

/* The UART's, 33, stands in the DSDT and in SPCR; one of the last is nobody's. */
static void reads_interrupts(void **state)
{
	struct boot_irqs irqs = {0};

	(void)state;
	acpi_irqs(&machine.rsdp, &irqs);
	assert_true(irqs_has(&irqs, 33));
	assert_false(irqs_has(&irqs, 286));
}

/* Where there are no regions of redistributors each GICC names its own. */
static void reads_a_redistributor_of_one_cpu(void **state)
{
	struct acpi_header *madt = table(&machine.rsdp, "APIC");
	const u64 base = 0x123450000;
	struct boot_ranges r = {0};
	const u8 *entry;

	(void)state;
	memcpy(gicc(&machine.rsdp, 2) + 60, &base, sizeof(base));
	for (u32 at = ACPI_MADT_ENTRIES; (entry = acpi_next_entry(madt, &at));)
		if (*entry == MADT_GICR)
			*(u8 *)entry = 0x7f;
	acpi_seal(madt);
	assert_true(acpi_redistributors(&machine.rsdp, 3, &r));
	assert_int_equal(r.count, 0);
	assert_true(acpi_redistributors(&machine.rsdp, 2, &r));
	assert_int_equal(r.count, 1);
	assert_int_equal(r.range[0].base, base);
	assert_int_equal(r.range[0].size, 0x20000);
}

static void disables_the_cpu(void **state)
{
	u8 *was = gicc(&machine.rsdp, 3), before = was[12];
	const struct acpi_rsdp *seen;
	u64 hwid[8];

	(void)state;
	/* enabled, online capable (5.2.12.14), and two bits that must stay */
	was[12] |= 1 | 2 | 4 | 8;
	acpi_seal((struct acpi_header *)acpi_find(&machine.rsdp, "APIC"));
	seen = build(3, NULL);
	assert_int_equal(acpi_cpus(seen, hwid, 8), 3);
	assert_int_equal(hwid[2], 2);
	assert_int_equal(gicc(seen, 3)[12], 2 | 4);
	assert_int_equal(gicc(seen, 2)[12], before);
	free((void *)seen);
}

static void leads_past_the_smmu(void **state)
{
	const struct acpi_rsdp *seen = build(3, NULL);
	const u8 *was = (const u8 *)table(&machine.rsdp, "IORT");
	const u8 *is = (const u8 *)table(seen, "IORT");
	u32 its = 0, smmus = 0, mappings = 0;
	u64 at = acpi_le(is + 40, 4);

	(void)state;
	assert_false(iort_is_stuck((const void *)was));
	for (u64 i = acpi_le(is + 36, 4); i; i--, at += acpi_le(is + at + 1, 2)) {
		if (was[at] == 0)
			its = (u32)at;
		smmus += was[at] == 4;
		assert_true(is[at] == (was[at] == 4 ? 0xff : was[at]));
		if (was[at] != 2)
			continue;
		/* of each ID: to the ITS, under the same number */
		const u8 *mapping = is + at + acpi_le(is + at + 12, 4);
		for (u64 j = acpi_le(is + at + 8, 4); j; j--, mapping += 20) {
			assert_int_equal(acpi_le(mapping + 8, 4), acpi_le(mapping, 4));
			assert_int_equal(acpi_le(mapping + 12, 4), its);
			mappings++;
		}
	}
	assert_int_equal(smmus, 1);
	assert_int_equal(mappings, 2);
	free((void *)seen);
}

/* The window of 32-bit memory in \_SB.PCI0._CRS: its first and last address, and its length. */
static void check_window(const struct acpi_rsdp *rsdp, u32 first, u32 last)
{
	static const u8 head[] = {0x87, 0x17, 0, 0};
	const struct acpi_header *dsdt = dsdt_of(rsdp);
	u32 found = 0;

	for (u32 at = sizeof(*dsdt); at + 26 <= dsdt->length; at++) {
		const u8 *p = (const u8 *)dsdt + at;

		if (memcmp(p, head, sizeof(head)) || acpi_le(p + 14, 4) != last)
			continue;
		found++;
		assert_int_equal(acpi_le(p + 10, 4), first);
		assert_int_equal(acpi_le(p + 22, 4), last - first + 1);
	}
	assert_int_equal(found, 1);
}

/* Linux places all BARs anew: the bridge must not give it the monitor's. */
static void cuts_the_bridges_window(void **state)
{
	const struct boot_ranges claimed = {.count = 2,
					    .range = {{0x10040000, 0x20000}, {0x10080000, 0x4000}}};
	const struct acpi_rsdp *seen = build(3, NULL);

	(void)state;
	check_window(&machine.rsdp, 0x10000000, 0x3efeffff);
	check_window(seen, 0x10000000, 0x3efeffff);
	free((void *)seen);
	seen = build(3, &claimed);
	check_window(seen, 0x10084000, 0x3efeffff);
	assert_int_equal(dsdt_of(seen)->length, dsdt_of(&machine.rsdp)->length);
	free((void *)seen);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(reads_the_machine, set_up),
		cmocka_unit_test_setup(reads_interrupts, set_up),
		cmocka_unit_test_setup(reads_a_redistributor_of_one_cpu, set_up),
		cmocka_unit_test_setup(disables_the_cpu, set_up),
		cmocka_unit_test_setup(leads_past_the_smmu, set_up),
		cmocka_unit_test_setup(cuts_the_bridges_window, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
