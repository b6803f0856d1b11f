/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * IOMMUs of ACPI's DMAR (Intel, VT-d specification, chapter 8) and IVRS (AMD I/O Virtualization
 * Technology specification 48882, chapter 5). One that translates under the firmware's tables keeps
 * the monitor's NIC from the monitor's memory. Pure logic.
 */
#ifndef BOOT_IOMMU_H
#define BOOT_IOMMU_H

#include "boot/acpi_walk.h"

/*
 * The address of an IOMMU of this table, a DMAR or an IVRS, that translates; 0: none does, or the
 * table is NULL. `read` reads 32 bits of a register at that address.
 */
u64 iommu_enabled(const struct acpi_header *table, u32 (*read)(u64 address));

#endif
