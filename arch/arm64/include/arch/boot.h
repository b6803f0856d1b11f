/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the EFI part must know of the architecture. All of it runs in the firmware's world, before
 * the take-over, at EL2 or EL1; nothing else may include it.
 */
#ifndef ARCH_BOOT_H
#define ARCH_BOOT_H

#include "lib/types.h"

#define ARCH_EFI_SUFFIX	      "aa64"	   /* in the names of EFI loaders */
#define ARCH_ELF_RELATIVE     1027	   /* R_AARCH64_RELATIVE */
#define ARCH_TRAMPOLINE_LIMIT 0		   /* PSCI starts CPUs anywhere */
#define ARCH_MEMORY_LIMIT     (1ull << 48) /* VMSAv8-64 without FEAT_LPA */
#define ARCH_OS_PLACES_BARS   true	   /* Linux does, unless the firmware forbids it */
/* Does firmware without EFI_MEMORY_ATTRIBUTE_PROTOCOL map what is not for code execute-never? */
#define ARCH_FIRMWARE_XN    true
#define ARCH_LAST_IO_PORT   0		      /* there are none */
#define ARCH_DEBUG_PORT_MAX 0xffffffffffffull /* debug_port= is the address of a PL011 */

/* This CPU's number as the MADT has it: the affinity fields of MPIDR_EL1 (ACPI 6.5, 5.2.12.14). */
static inline u64 arch_boot_hwid(void)
{
	u64 mpidr;

	__asm__ volatile("mrs %0, mpidr_el1" : "=r"(mpidr));
	return mpidr & 0xff00ffffffull;
}

/* The counter that boot_info.ticks_per_us is for (D12.1: firmware has it run). */
static inline u64 arch_boot_ticks(void)
{
	u64 ticks;

	__asm__ volatile("isb; mrs %0, cntpct_el0" : "=r"(ticks)::"memory");
	return ticks;
}

/* Halt this CPU for good. */
static inline _Noreturn void arch_boot_stop(void)
{
	for (;;)
		__asm__ volatile("msr daifset, #15; wfi" ::: "memory");
}

#endif
