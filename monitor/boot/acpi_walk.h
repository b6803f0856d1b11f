/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ACPI's tables and their entries (ACPI 6.5, chapter 5), for acpi.c and acpi_build.c. Physical
 * memory is mapped at its own address.
 */
#ifndef BOOT_ACPI_WALK_H
#define BOOT_ACPI_WALK_H

#include "lib/types.h"

struct acpi_rsdp {
	char signature[8];
	u8 checksum; /* of the first 20 bytes */
	char oem_id[6];
	u8 revision;
	u32 rsdt;
	u32 length;
	u64 xsdt;
	u8 checksum_all;
	u8 reserved[3];
} __attribute__((packed));

struct acpi_header {
	char signature[4];
	u32 length; /* of the whole table */
	u8 revision;
	u8 checksum; /* makes the sum of all bytes zero */
	char oem_id[6];
	char oem_table_id[8];
	u32 oem_revision;
	char creator_id[4];
	u32 creator_revision;
} __attribute__((packed));

#define ACPI_MADT_ENTRIES 44 /* 5.2.12: where the first one is */
#define ACPI_MADT_GICC	  11 /* 5.2.12.14 */

/* Where a MADT entry of a CPU has what. `enable`: the flags by which the OS may use it, now or
 * later.
 */
struct acpi_madt_cpu {
	u8 type, length, id, id_size, flags, enable;
};

/* The root table: XSDT, or RSDT on firmware of ACPI 1.0; they differ in the size of their entries.
 */
struct acpi_root {
	const struct acpi_header *table;
	u32 entry_size, count;
};

u64 acpi_le(const void *p, size_t size); /* a number, not aligned */
u8 acpi_sum(const void *p, size_t size); /* of its bytes */

/* Set the table's checksum. */
void acpi_seal(struct acpi_header *table);

struct acpi_root acpi_root(const struct acpi_rsdp *rsdp);
const struct acpi_header *acpi_root_entry(const struct acpi_root *r, u32 i); /* may be NULL */
bool acpi_is(const struct acpi_header *t, const char *signature);

/* The table with this signature, NULL if there is none. */
const struct acpi_header *acpi_find(const struct acpi_rsdp *rsdp, const char *signature);

/* Where the FADT has the address of the DSDT, and the one for 64 bits (5.2.9). */
#define ACPI_FADT_DSDT	 40
#define ACPI_FADT_X_DSDT 140
/* The DSDT, which no root table names; NULL if there is none. */
const struct acpi_header *acpi_dsdt(const struct acpi_header *fadt);

/*
 * The entry of the MCFG for segment 0 from bus 0 on (PCI firmware specification 4.1.2); NULL if
 * there is none.
 */
const u8 *acpi_mcfg_entry(const struct acpi_header *mcfg);
/* In such an entry: the address of configuration space, and its last bus. */
#define ACPI_MCFG_ECAM	  0
#define ACPI_MCFG_END_BUS 11

/* The entry of the MADT at offset *at, which moves behind it; NULL at the end. */
const u8 *acpi_next_entry(const struct acpi_header *madt, u32 *at);

/* The next entry of a CPU from *at on, which moves behind it; NULL at the end. */
const u8 *acpi_next_cpu(const struct acpi_header *madt, u32 *at, const struct acpi_madt_cpu **kind);

#endif
