/* SPDX-License-Identifier: BSD-2-Clause */
#include "psci_host.h"
#include "boot/boot.h"
#include "lib/errno.h"
#include "lib/format.h"

/* Registers of a call (SMCCC, DEN0028: 64 bits). */
struct smc {
	u64 x[4];
};

#define PSCI_VERSION 0x84000000u
#define PSCI_CPU_ON  0xc4000003u

static void smc_call(struct smc *call)
{
	register u64 x0 __asm__("x0") = call->x[0];
	register u64 x1 __asm__("x1") = call->x[1];
	register u64 x2 __asm__("x2") = call->x[2];
	register u64 x3 __asm__("x3") = call->x[3];

	/* x4 to x17 may be lost (DEN0028, 2.6: version 1.0). */
	__asm__ volatile("smc #0"
			 : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)::"x4", "x5", "x6", "x7", "x8",
			   "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17", "memory");
	*call = (struct smc){{x0, x1, x2, x3}};
}

int psci_probe(const struct boot_info *bi, char *why, size_t why_size)
{
	struct smc call = {{PSCI_VERSION}};

	if (bi->psci != BOOT_PSCI_SMC) {
		format(why, why_size, "the firmware starts CPUs %s: the monitor needs PSCI by SMC",
		       bi->psci == BOOT_PSCI_HVC ? "by PSCI through HVC" : "without PSCI");
		return -ENODEV;
	}
	smc_call(&call);
	/* Version 0.1 has no function numbers of its own. */
	if ((s32)call.x[0] >= 2)
		return 0;
	format(why, why_size, "the firmware's PSCI is of version 0x%x: 0.2 is needed",
	       (u32)call.x[0]);
	return -ENODEV;
}

s64 psci_cpu_on(u64 hwid, u64 entry, u64 context)
{
	struct smc call = {{PSCI_CPU_ON, hwid, entry, context}};

	/* What the CPU is to find is stored before it runs: a call of the firmware is no access. */
	__asm__ volatile("dsb ishst" ::: "memory");
	smc_call(&call);
	return (s32)call.x[0];
}
