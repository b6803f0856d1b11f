/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ACPI: reading the firmware's tables, and building the guest's. The firmware's tables are never
 * changed, so that naming them again undoes everything. Pure logic: physical memory is mapped at
 * its own address.
 */
#ifndef BOOT_ACPI_H
#define BOOT_ACPI_H

#include "boot/psci.h"
#include "boot/range.h"
#include <suture/abi.h>

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

struct acpi_suture {
	struct acpi_header header;
	struct suture_acpi_body body;
} __attribute__((packed));

/* The table with this signature, NULL if there is none. */
const struct acpi_header *acpi_find(const struct acpi_rsdp *rsdp, const char *signature);

/* Hardware numbers of the usable CPUs, in the MADT's order. How many, at most max, or -E2BIG. */
int acpi_cpus(const struct acpi_rsdp *rsdp, u64 *hwid, u32 max);

/* PCI configuration space of segment 0 from its bus 0 on, and the last bus; 0 if there is none. */
pa_t acpi_ecam(const struct acpi_rsdp *rsdp, u32 *end_bus);

/*
 * The redistributors of a GICv3, among which CPU hwid's is. False: more ranges than r has room for.
 */
bool acpi_redistributors(const struct acpi_rsdp *rsdp, u64 hwid, struct boot_ranges *r);

/* How PSCI is called (FADT). */
enum boot_psci acpi_psci(const struct acpi_rsdp *rsdp);

/* Does IORT name an SMMU? A guest that turns one on would cut off the monitor's NIC. */
bool acpi_has_smmu(const struct acpi_rsdp *rsdp);

/* What the guest is to see otherwise. */
struct acpi_edit {
	u64 service_hwid;	    /* is disabled */
	struct boot_ranges claimed; /* is in no PCI bridge's window */
};

/* Bytes that acpi_build() needs at most. */
size_t acpi_build_size(const struct acpi_rsdp *rsdp);

/*
 * Build in buf the tables that the guest is to see: the firmware's, but changed as `edit` says, no
 * DMAR and IVRS, no sleep state S3, and the table SUTR added. buf must be zeroed, and acpi_cpus()
 * must have found a CPU. The new RSDP is at its start; *suture is the table SUTR in it.
 */
void acpi_build(const struct acpi_rsdp *rsdp, const struct acpi_edit *edit, void *buf,
		struct acpi_suture **suture);

/* Set the table's checksum. */
void acpi_seal(struct acpi_header *table);

#endif
