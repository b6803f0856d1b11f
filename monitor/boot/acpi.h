/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ACPI: reading the firmware's tables, and building the guest's. The firmware's tables are never
 * changed, so that naming them again undoes everything. Pure logic: physical memory is mapped at
 * its own address.
 */
#ifndef BOOT_ACPI_H
#define BOOT_ACPI_H

#include "boot/acpi_walk.h"
#include "boot/irqs.h"
#include "boot/psci.h"
#include "boot/range.h"
#include <suture/abi.h>

struct acpi_suture {
	struct acpi_header header;
	struct suture_acpi_body body;
} __attribute__((packed));

/* Hardware numbers of the usable CPUs, in the MADT's order. How many, at most max, or -E2BIG. */
int acpi_cpus(const struct acpi_rsdp *rsdp, u64 *hwid, u32 max);

/* PCI configuration space of segment 0 from its bus 0 on, and the last bus; 0 if there is none. */
pa_t acpi_ecam(const struct acpi_rsdp *rsdp, u32 *end_bus);

/*
 * The redistributors of a GICv3, among which CPU hwid's is. False: more ranges than r has room for.
 */
bool acpi_redistributors(const struct acpi_rsdp *rsdp, u64 hwid, struct boot_ranges *r);

/* x86: the registers of the IOAPICs. False: more than r has room for. */
bool acpi_ioapics(const struct acpi_rsdp *rsdp, struct boot_ranges *r);

/* The distributor of the GIC; 0: the tables name none. */
pa_t acpi_distributor(const struct acpi_rsdp *rsdp);

/*
 * Add each number that may be one of an interrupt, wherever it stands in a table or its AML: there
 * are more of them than interrupts.
 */
void acpi_irqs(const struct acpi_rsdp *rsdp, struct boot_irqs *irqs);

/* How PSCI is called (FADT). */
enum boot_psci acpi_psci(const struct acpi_rsdp *rsdp);

/* What the guest is to see otherwise. */
struct acpi_edit {
	u64 service_hwid;	     /* is disabled */
	struct boot_ranges claimed;  /* is in no PCI bridge's window */
	struct boot_ranges reserved; /* no device gets them: an SSDT more */
	u32 last_bus;		     /* where PCI configuration space ends, if not 0 */
};

/* Bytes that acpi_build() needs at most. */
size_t acpi_build_size(const struct acpi_rsdp *rsdp, const struct acpi_edit *edit);

/*
 * Build in buf the tables that the guest is to see: the firmware's, but changed as `edit` says, no
 * DMAR, IVRS and SDEI, no SMMU, no sleep state S3, and the table SUTR added. buf must be zeroed,
 * and acpi_cpus() must have found a CPU. The new RSDP is at its start; *suture is the table SUTR in
 * it.
 */
void acpi_build(const struct acpi_rsdp *rsdp, const struct acpi_edit *edit, void *buf,
		struct acpi_suture **suture);

#endif
