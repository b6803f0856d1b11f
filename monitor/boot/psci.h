/* SPDX-License-Identifier: BSD-2-Clause */
/* How the firmware is asked to start and stop CPUs, by its own tables. */
#ifndef BOOT_PSCI_H
#define BOOT_PSCI_H

enum boot_psci {
	BOOT_PSCI_NONE, /* not by Arm's PSCI (DEN0022) */
	BOOT_PSCI_SMC,
	BOOT_PSCI_HVC,
};

#endif
