/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An ACPI table that reserves ranges of addresses: an SSDT with a device PNP0C02, motherboard
 * resources (ACPI 6.5, chapters 19 and 20). Operating systems give them to no device. Pure logic.
 */
#ifndef BOOT_ACPI_RESERVE_H
#define BOOT_ACPI_RESERVE_H

#include "boot/acpi_walk.h"
#include "boot/range.h"

/* Bytes of the table; 0 if there are no ranges. */
size_t acpi_reserve_size(const struct boot_ranges *r);

/* Write the table, of that many bytes, with its checksum. There are ranges. */
void acpi_reserve(const struct boot_ranges *r, struct acpi_header *ssdt);

#endif
