/* SPDX-License-Identifier: BSD-2-Clause */
/* The ACPI tables of a small machine, and the copies that the guest sees. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <sys/mman.h>

#include "boot/acpi.h"
#include "lib/errno.h"
#include "lib/string.h"

#define MAX_TABLES 16

/*
 * AML before and after: both forms of \_S3's definition are renamed, a mere mention is not; of the
 * two CPUs' _MAT buffers only that of APIC ID 2 loses its "enabled".
 */
#define DSDT_CODE(S3, ENABLED)                                                                     \
	"\x08" S3 "\x12\x04\x03\x01\x01\x01"                                                       \
	"\x08_S5_\x12\x04\x03\x01\x01\x01"                                                         \
	"\x08\\" S3 "\x12\x02\x01"                                                                 \
	"\x08_MAT\x11\x0b\x0a\x08\x00\x08\x07\x02" ENABLED "\x00\x00\x00"                          \
	"\x08_MAT\x11\x0b\x0a\x08\x00\x08\x05\x01\x01\x00\x00\x00"                                 \
	"_S3_"
static const char dsdt_code[] = DSDT_CODE("_S3_", "\x01");
static const char dsdt_code_seen[] = DSDT_CODE("XS3_", "\x00");

static u8 *arena; /* below 4 GiB, so that RSDT and FADT can point there */
static size_t arena_used;
static struct acpi_rsdp *rsdp;
static struct acpi_header *tables[MAX_TABLES];
static u32 nr_tables;

static void *new (size_t size)
{
	void *p = arena + arena_used;

	arena_used += ALIGN_UP(size, 16);
	return p;
}

static struct acpi_header *add(const char *signature, const void *body, size_t size)
{
	struct acpi_header *t = new (sizeof(*t) + size);

	memcpy(t->signature, signature, 4);
	t->length = (u32)(sizeof(*t) + size);
	memcpy(t->oem_id, "VENDOR", 6);
	memcpy(t + 1, body, size);
	acpi_seal(t);
	return tables[nr_tables++] = t;
}

static bool sealed(const void *table, size_t length)
{
	u8 sum = 0;

	for (const u8 *p = table; length; length--)
		sum = (u8)(sum + *p++);
	return sum == 0;
}

static int build_machine(void **state)
{
	static const u8 madt[] = {
		0, 0,  0xe0, 0xfe, 1, 0, 0,    0,			     /* address, flags */
		0, 8,  0,    0,	   1, 0, 0,    0,			     /* boot CPU */
		0, 8,  5,    1,	   1, 0, 0,    0,			     /* ID 1 */
		1, 12, 0,    0,	   0, 0, 0xc0, 0xfe, 0, 0, 0, 0,	     /* IOAPIC */
		0, 8,  7,    2,	   1, 0, 0,    0,			     /* ID 2 */
		0, 8,  8,    3,	   0, 0, 0,    0,			     /* ID 3: disabled */
		9, 16, 0,    0,	   2, 0, 0,    0,    3, 0, 0, 0, 7, 0, 0, 0, /* ID 2 again */
		9, 16, 0,    0,	   0, 1, 0,    0,    1, 0, 0, 0, 0, 1, 0, 0, /* ID 256 */
	};
	static const u8 mcfg[8 + 32] = {
		[8] = 0,  0, 0, 0xd0, 0, 0, 0, 0, 1, 0, 0, 0xff, /* segment 1 */
		[24] = 0, 0, 0, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0x7f,
	};
	u8 fadt[244 - sizeof(struct acpi_header)] = {0};

	(void)state;
	arena = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT,
		     -1, 0);
	if (arena == MAP_FAILED)
		return -1;
	arena_used = 0;
	nr_tables = 0;

	struct acpi_header *dsdt = add("DSDT", dsdt_code, sizeof(dsdt_code) - 1);
	nr_tables = 0; /* the DSDT hangs on the FADT, not on the root */
	u32 narrow = (u32)(uintptr_t)dsdt;
	memcpy(fadt + 40 - sizeof(*dsdt), &narrow, 4);
	add("FACP", fadt, sizeof(fadt));
	add("APIC", madt, sizeof(madt));
	add("DMAR", "remapping", 9);
	add("SSDT", "\x08_S3_!", 6);
	add("IVRS", "remapping", 9);
	add("SDEI", "", 0);
	add("MCFG", mcfg, sizeof(mcfg));
	add("HPET", "timer", 5);

	u64 entries[MAX_TABLES];
	u32 count = nr_tables;
	for (u32 i = 0; i < count; i++)
		entries[i] = (uintptr_t)tables[i];
	struct acpi_header *xsdt = add("XSDT", entries, count * 8);
	u32 narrow_entries[MAX_TABLES];
	for (u32 i = 0; i < count; i++)
		narrow_entries[i] = (u32)entries[i];
	struct acpi_header *rsdt = add("RSDT", narrow_entries, count * 4);

	rsdp = new (sizeof(*rsdp));
	memcpy(rsdp->signature, "RSD PTR ", 8);
	memcpy(rsdp->oem_id, "VENDOR", 6);
	rsdp->revision = 2;
	rsdp->length = sizeof(*rsdp);
	rsdp->xsdt = (uintptr_t)xsdt;
	rsdp->rsdt = (u32)(uintptr_t)rsdt;
	return 0;
}

static int drop_machine(void **state)
{
	(void)state;
	return munmap(arena, 65536);
}

static const struct acpi_rsdp *build(u64 service, struct acpi_suture **suture)
{
	struct acpi_edit edit = {.service_hwid = service};
	size_t size = acpi_build_size(rsdp, &edit);
	void *buf = calloc(1, size); /* exact, so that writing beyond it is seen */

	acpi_build(rsdp, &edit, buf, suture);
	return buf;
}

static void reads_cpus(void **state)
{
	u64 hwid[8];

	(void)state;
	assert_int_equal(acpi_cpus(rsdp, hwid, 8), 4);
	assert_int_equal(hwid[0], 0);
	assert_int_equal(hwid[1], 1);
	assert_int_equal(hwid[2], 2);
	assert_int_equal(hwid[3], 256);
	assert_int_equal(acpi_cpus(rsdp, hwid, 3), -E2BIG);
}

static void reads_ecam(void **state)
{
	u32 end;

	(void)state;
	assert_int_equal(acpi_ecam(rsdp, &end).v, 0xe0000000);
	assert_int_equal(end, 0x7f);
	memcpy((void *)acpi_find(rsdp, "MCFG")->signature, "XXXX", 4);
	assert_int_equal(acpi_ecam(rsdp, &end).v, 0);
}

static void survives_a_cut_madt(void **state)
{
	struct acpi_header *madt = (struct acpi_header *)acpi_find(rsdp, "APIC");
	u64 hwid[8];

	(void)state;
	madt->length = 44 + 8 + 7; /* in the middle of the second entry */
	assert_int_equal(acpi_cpus(rsdp, hwid, 8), 1);
	madt->length = 44 + 16;
	((u8 *)madt)[44 + 8 + 1] = 0; /* an entry of no length */
	assert_int_equal(acpi_cpus(rsdp, hwid, 8), 1);
	memcpy(madt->signature, "XXXX", 4);
	assert_int_equal(acpi_cpus(rsdp, hwid, 8), 0);
}

static void check_new_set(const struct acpi_rsdp *seen, const struct acpi_suture *suture)
{
	static const char *const expected[] = {"SUTR", "FACP", "APIC", "SSDT", "MCFG", "HPET"};
	const struct acpi_header *xsdt = (const void *)(uintptr_t)seen->xsdt;

	assert_true(sealed(seen, 20) && sealed(seen, sizeof(*seen)));
	assert_memory_equal(seen->signature, "RSD PTR ", 8);
	assert_int_equal(seen->rsdt, 0);
	assert_true(sealed(xsdt, xsdt->length));
	assert_memory_equal(xsdt->signature, "XSDT", 4);
	assert_memory_equal(xsdt->oem_id, "VENDOR", 6);
	assert_int_equal(xsdt->length, sizeof(*xsdt) + 8 * ARRAY_SIZE(expected));
	for (u32 i = 0; i < ARRAY_SIZE(expected); i++) {
		const struct acpi_header *t = acpi_find(seen, expected[i]);
		assert_non_null(t);
		assert_true(sealed(t, t->length));
	}
	assert_ptr_equal(acpi_find(seen, "SUTR"), suture);
	assert_int_equal(suture->header.length, 48);
	assert_int_equal(suture->body.abi_version, SUTURE_ABI_VERSION);
	assert_int_equal(suture->body.insn, 0);
	/* a table without changes is the firmware's own */
	assert_ptr_equal(acpi_find(seen, "HPET"), acpi_find(rsdp, "HPET"));
}

static void hides_what_it_must(void **state)
{
	struct acpi_suture *suture;
	const struct acpi_rsdp *seen = build(2, &suture);
	u64 hwid[8], dsdt_address = 0;

	(void)state;
	check_new_set(seen, suture);
	assert_null(acpi_find(seen, "DMAR"));
	assert_null(acpi_find(seen, "IVRS"));
	assert_null(acpi_find(seen, "SDEI"));
	/* the service CPU is gone under both of its entries, the others are there */
	assert_int_equal(acpi_cpus(seen, hwid, 8), 3);
	assert_int_equal(hwid[1], 1);
	assert_int_equal(hwid[2], 256);
	const u8 *madt = (const u8 *)acpi_find(seen, "APIC");
	assert_int_equal(madt[44 + 28 + 4], 0);
	assert_int_equal(madt[44 + 44 + 8], 0); /* neither enabled nor online-capable */

	const u8 *fadt = (const u8 *)acpi_find(seen, "FACP");
	memcpy(&dsdt_address, fadt + 140, 8);
	const struct acpi_header *dsdt = (const void *)(uintptr_t)dsdt_address;
	assert_int_equal(dsdt->length, sizeof(*dsdt) + sizeof(dsdt_code) - 1);
	assert_true(sealed(dsdt, dsdt->length));
	assert_memory_equal(dsdt + 1, dsdt_code_seen, sizeof(dsdt_code) - 1);
	assert_memory_equal(acpi_find(seen, "SSDT") + 1, "\x08XS3_!", 6);
	free((void *)(uintptr_t)seen);
}

/* Configuration space ends where the edit says, unless it ends before. */
static void bounds_configuration_space(void **state)
{
	static const struct {
		u32 last_bus, seen;
	} cases[] = {{0, 0x7f}, {1, 1}, {0x7e, 0x7e}, {0x7f, 0x7f}, {0xff, 0x7f}};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		struct acpi_edit edit = {.service_hwid = 2, .last_bus = cases[i].last_bus};
		void *seen = calloc(1, acpi_build_size(rsdp, &edit));
		struct acpi_suture *suture;
		u32 end;

		acpi_build(rsdp, &edit, seen, &suture);
		assert_int_equal(acpi_ecam(seen, &end).v, 0xe0000000);
		assert_int_equal(end, cases[i].seen);
		check_new_set(seen, suture);
		/* the other segment's entry stays */
		assert_int_equal(((const u8 *)acpi_find(seen, "MCFG"))[44 + 11], 0xff);
		free(seen);
	}
}

static void finds_the_ioapics(void **state)
{
	struct boot_ranges r = {0};

	(void)state;
	assert_true(acpi_ioapics(rsdp, &r));
	assert_int_equal(r.count, 1);
	assert_int_equal(r.range[0].base, 0xfec00000);
	while (r.count < ARRAY_SIZE(r.range))
		ranges_add(&r, 1, 1);
	assert_false(acpi_ioapics(rsdp, &r));
}

/* The last table of the set. */
static const struct acpi_header *last_table(const struct acpi_rsdp *seen)
{
	struct acpi_root root = acpi_root(seen);

	return acpi_root_entry(&root, root.count - 1);
}

/* \_SB.SUTN in AML, as iasl would write it. */
static void reserves_ranges(void **state)
{
	static const u8 aml[] =
		"\x10\x40\x06\\_SB_\x5b\x82\x47\x05SUTN"
		"\x08_HID\x0c\x41\xd0\x0c\x02\x08_UID\x0cSUTR"
		"\x08_CRS\x11\x47\x03\x0c\x30\x00\x00\x00"
		"\x8a\x2b\x00\x00\x0d\x01\x00\x00\x00\x00\x00\x00\x00\x00"
		"\x00\x00\x04\xc1\x00\x00\x00\x00\xff\xff\x05\xc1\x00\x00\x00\x00"
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x79";
	struct acpi_edit edit = {.service_hwid = 2};

	(void)state;
	for (u32 i = 0; i <= ARRAY_SIZE(edit.reserved.range); i++) {
		void *seen = calloc(1, acpi_build_size(rsdp, &edit));
		const struct acpi_header *last;
		struct acpi_suture *suture;

		acpi_build(rsdp, &edit, seen, &suture);
		last = last_table(seen);
		assert_int_equal(acpi_is(last, "SSDT"), i > 0);
		assert_true(sealed(last, last->length));
		if (i == 1) {
			assert_int_equal(last->length, sizeof(*last) + sizeof(aml));
			assert_memory_equal(last + 1, aml, sizeof(aml));
		}
		free(seen);
		ranges_add(&edit.reserved, 0xc1040000 + 0x20000 * i, 0x20000);
	}
}

static void leaves_the_firmwares_tables(void **state)
{
	struct acpi_suture *suture;
	u8 *before = malloc(arena_used);

	(void)state;
	memcpy(before, arena, arena_used);
	free((void *)(uintptr_t)build(2, &suture));
	assert_memory_equal(before, arena, arena_used);
	free(before);
}

/* Firmware of ACPI 1.0: no XSDT. */
static void starts_from_an_rsdt(void **state)
{
	struct acpi_suture *suture;
	u64 hwid[8];

	(void)state;
	rsdp->revision = 0;
	const struct acpi_rsdp *seen = build(256, &suture);
	const struct acpi_header *xsdt = (const void *)(uintptr_t)seen->xsdt;
	assert_int_equal(seen->revision, 2);
	assert_true(sealed(seen, 20) && sealed(seen, sizeof(*seen)) && sealed(xsdt, xsdt->length));
	assert_memory_equal(xsdt->signature, "XSDT", 4);
	assert_int_equal(acpi_cpus(seen, hwid, 8), 3);
	assert_int_equal(hwid[2], 2);
	free((void *)(uintptr_t)seen);
}

/* The checksum of the agent's table is right after the monitor has filled the table in. */
static void seals(void **state)
{
	struct acpi_suture *suture;
	const struct acpi_rsdp *seen = build(1, &suture);

	(void)state;
	suture->body.insn = SUTURE_INSN_VMMCALL;
	assert_false(sealed(suture, sizeof(*suture)));
	acpi_seal(&suture->header);
	assert_true(sealed(suture, sizeof(*suture)));
	free((void *)(uintptr_t)seen);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(reads_cpus, build_machine, drop_machine),
		cmocka_unit_test_setup_teardown(reads_ecam, build_machine, drop_machine),
		cmocka_unit_test_setup_teardown(survives_a_cut_madt, build_machine, drop_machine),
		cmocka_unit_test_setup_teardown(hides_what_it_must, build_machine, drop_machine),
		cmocka_unit_test_setup_teardown(bounds_configuration_space, build_machine,
						drop_machine),
		cmocka_unit_test_setup_teardown(finds_the_ioapics, build_machine, drop_machine),
		cmocka_unit_test_setup_teardown(reserves_ranges, build_machine, drop_machine),
		cmocka_unit_test_setup_teardown(leaves_the_firmwares_tables, build_machine,
						drop_machine),
		cmocka_unit_test_setup_teardown(starts_from_an_rsdt, build_machine, drop_machine),
		cmocka_unit_test_setup_teardown(seals, build_machine, drop_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
