/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * IORT, ACPI's table of what leads from devices to SMMUs and to the ITS (Arm DEN0049E). A guest
 * that turns an SMMU on cuts off the monitor's NIC. Without the table it would have no MSIs. Pure
 * logic.
 */
#ifndef BOOT_IORT_H
#define BOOT_IORT_H

#include "boot/acpi_walk.h"

/* Are there SMMUs, past which iort_pass_smmus() cannot lead each device? */
bool iort_is_stuck(const struct acpi_header *iort);

/*
 * Lead each device to where its SMMU leads, and make the SMMUs' nodes of a type that no OS knows.
 * Seals the table. Not if it is stuck.
 */
void iort_pass_smmus(struct acpi_header *iort);

#endif
