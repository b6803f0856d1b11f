/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Facts about the architecture for the EFI part (monitor/boot/), which alone includes this header.
 * Boot CPU, under the firmware, before the take-over.
 */
#ifndef ARCH_BOOT_H
#define ARCH_BOOT_H

#include <cpuid.h>

#include "lib/types.h"

#define ARCH_EFI_SUFFIX	  "x64" /* in the names of EFI loaders */
#define ARCH_ELF_RELATIVE 8	/* R_X86_64_RELATIVE */
/* Does firmware without EFI_MEMORY_ATTRIBUTE_PROTOCOL map what is not for code execute-never? */
#define ARCH_FIRMWARE_XN false
/* debug_port= in suture.conf is an I/O port, or beyond those the address of a UART in memory */
#define ARCH_LAST_IO_PORT     0xffffu
#define ARCH_DEBUG_PORT_MAX   0xffffffffffffull
#define ARCH_TRAMPOLINE_LIMIT 0xa0000u /* a SIPI reaches pages below it; 0: none needed */

#define ARCH_MEMORY_LIMIT   (4ull << 30) /* 32-bit addresses are enough for the root in CR3 */
#define ARCH_OS_PLACES_BARS false	 /* they leave BARs where the firmware has put them */

/* This CPU's id in the MADT: x2APIC ID, else APIC ID (AMD APM vol. 3, CPUID Fn1, FnB). */
static inline u64 arch_boot_hwid(void)
{
	u32 a, b, c, d;

	if (__get_cpuid_count(0xb, 0, &a, &b, &c, &d) && b)
		return d;
	__get_cpuid(1, &a, &b, &c, &d);
	return b >> 24;
}

/* The counter whose rate is boot_info.ticks_per_us. */
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
