/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the EFI part must know of the architecture. All of it runs in the firmware's world, before
 * the take-over; nothing else may include it.
 */
#ifndef ARCH_BOOT_H
#define ARCH_BOOT_H

#include <cpuid.h>

#include "lib/types.h"

#define ARCH_EFI_SUFFIX	  "x64" /* in the names of EFI loaders */
#define ARCH_ELF_RELATIVE 8	/* R_X86_64_RELATIVE */
/* Does firmware without EFI_MEMORY_ATTRIBUTE_PROTOCOL map what is not for code execute-never? */
#define ARCH_FIRMWARE_XN      false
#define ARCH_DEBUG_PORT_MAX   0xffffu  /* debug_port= in suture.conf is an I/O port */
#define ARCH_TRAMPOLINE_LIMIT 0xa0000u /* a start-up IPI reaches pages below; 0: none needed */

#define ARCH_MEMORY_LIMIT   (4ull << 30) /* 32-bit addresses are enough for the root in CR3 */
#define ARCH_OS_PLACES_BARS false	 /* they leave BARs where the firmware has put them */

/* This CPU's number as the MADT has it: x2APIC ID, else APIC ID (AMD APM vol. 3, CPUID Fn1, FnB).
 */
static inline u64 arch_boot_hwid(void)
{
	u32 a, b, c, d;

	if (__get_cpuid_count(0xb, 0, &a, &b, &c, &d) && b)
		return d;
	__get_cpuid(1, &a, &b, &c, &d);
	return b >> 24;
}

/* The counter that boot_info.ticks_per_us is for. */
static inline u64 arch_boot_ticks(void)
{
	return __builtin_ia32_rdtsc();
}

/* Halt this CPU for good. */
static inline _Noreturn void arch_boot_stop(void)
{
	for (;;)
		__asm__ volatile("cli; hlt" ::: "memory");
}

#endif
