/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Facts about the architecture for the EFI part (monitor/boot/), which alone includes this header.
 * Boot CPU, under the firmware, before the take-over.
 */
#ifndef ARCH_BOOT_H
#define ARCH_BOOT_H

#include "lib/types.h"

#define ARCH_EFI_SUFFIX	      "neutral" /* in the names of EFI loaders (UEFI 2.10, 3.5.1.1) */
#define ARCH_ELF_RELATIVE     0 /* relocation that adds the load address, of the ABI's supplement */
#define ARCH_TRAMPOLINE_LIMIT 0 /* CPUs start in a page below this address; 0: anywhere */
#define ARCH_MEMORY_LIMIT     0x100000000ull /* end of the addresses for the monitor's memory */
#define ARCH_OS_PLACES_BARS                                                                        \
	true /* do operating systems place PCI BARs anew, wherever the bridge's                    \
	      * windows have room? */
/* Does firmware without EFI_MEMORY_ATTRIBUTE_PROTOCOL map what is not for code execute-never? */
#define ARCH_FIRMWARE_XN    true
#define ARCH_LAST_IO_PORT   0 /* debug_port= is an address beyond it; 0: there are no I/O ports */
#define ARCH_DEBUG_PORT_MAX 0 /* the largest debug_port= in suture.conf; u64 */

/* This CPU's id in the MADT (ACPI 6.5, 5.2.12). */
u64 arch_boot_hwid(void);

/* The counter whose rate is boot_info.ticks_per_us. */
u64 arch_boot_ticks(void);

/* Halt this CPU for good. */
_Noreturn void arch_boot_stop(void);

#endif
