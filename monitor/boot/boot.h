/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the EFI part hands to the resident core, and how control passes.
 *
 * suture.efi is loaded by the firmware, allocates one range of EfiReservedMemoryType (2 MiB
 * aligned), copies itself to its start and relocates the copy. From then on there are two images:
 * the visible one, which runs as part of the firmware and whose memory the OS reuses, and the
 * hidden copy, the core. The visible one calls the core through the addresses of core_init and
 * arch_take_over in the copy. The copy has its own data: nothing but struct boot_info is shared. It
 * lies in the monitor's memory, in the image_size bytes before the pool, and stays there.
 */
#ifndef BOOT_BOOT_H
#define BOOT_BOOT_H

#include "boot/config.h"
#include "boot/irqs.h"
#include "boot/psci.h"
#include "boot/range.h"
#include "core/cpu.h"
#include "guest/mem.h"

#define BOOT_SEED_SIZE 32
#define BOOT_KEYS_MAX  8192

struct boot_info {
	struct config config;
	pa_t memory; /* the monitor's memory, hidden from the guest: image copy first, pool behind
			it */
	u64 memory_size;
	u64 image_size;	 /* bytes of the copy and of this structure, page aligned */
	pa_t trampoline; /* x86: one page below 1 MiB for starting CPUs (reserved, visible) */
	u32 nr_cpus;	 /* usable CPUs, boot CPU first */
	u64 cpu_hwid[MAX_CPUS];
	u32 service_cpu; /* index into cpu_hwid; its MADT entry is disabled */
	u32 nr_ram;	 /* RAM by the final memory map */
	struct guest_ram ram[GUEST_MAX_RAM];
	pa_t ecam; /* PCI configuration space of segment 0, 0 if none (MCFG) */
	u32 ecam_end_bus;
	u32 last_bus; /* after which the guest need not look for devices; 0: it may look at all */
	bool nic_present;
	u16 nic_bdf;
	struct boot_ranges nic_bars;	   /* its memory */
	pa_t local_apic;		   /* x86 */
	struct boot_ranges ioapics;	   /* x86: their registers */
	struct boot_ranges redistributors; /* arm64: of the GIC, the service CPU's among them */
	pa_t distributor;		   /* arm64: of the GIC; 0: not known */
	struct boot_irqs irqs;		   /* arm64: that the guest may know a device of */
	enum boot_psci psci;		   /* arm64 */
	pa_t acpi_body;	  /* struct suture_acpi_body, of our ACPI table or device tree */
	u64 ticks_per_us; /* x86: TSC, measured with the firmware's Stall() */
	bool has_seed;	  /* the firmware has a generator of random numbers */
	u8 seed[BOOT_SEED_SIZE];
	u64 utc_s;     /* the firmware's clock, seconds since 1970; 0: it has none */
	u32 keys_size; /* of keys, which are PEM (keys.c); 0: none */
	char keys[BOOT_KEYS_MAX];
	char firmware[64]; /* vendor, for the log */
};

/*
 * Check that this machine can be virtualized and set up all that can be set up before
 * ExitBootServices: pool, log, host page tables, stage 2, descriptor tables. In the copy, boot CPU,
 * firmware still alive. Changes nothing outside the monitor's memory. 0, or negative errno with
 * `why` for the console; then the caller frees everything and boots natively.
 */
int core_init(struct boot_info *bi, char *why, size_t why_size);

#endif
