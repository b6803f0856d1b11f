/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The start of the monitor, from top to bottom, under the firmware. Every failure leaves the
 * machine unchanged. arch_take_over() continues in the ExitBootServices hook.
 */
#include <suture/abi.h>
#include "agent/mailbox.h"
#include "arch/bell.h"
#include "arch/memory.h"
#include "arch/pagetable.h"
#include "arch/start.h"
#include "arch/upcalls.h"
#include "boot/boot.h"
#include "core/cpu.h"
#include "core/log.h"
#include "core/pool.h"
#include "guest/ram.h"
#include "lib/errno.h"
#include "lib/format.h"
#include "net/pci.h"
#include "net/pci_guest.h"
#include "stage2/hide.h"
#include "stage2/idmap.h"
#include "stage2/shadow.h"

static int check_boot_info(const struct boot_info *bi, char *why, size_t why_size)
{
	const char *wrong = NULL;

	if (bi->nr_cpus < 2 || bi->nr_cpus > MAX_CPUS)
		wrong = "it needs 2 to 512 CPUs, one of them for itself";
	else if (!bi->service_cpu || bi->service_cpu >= bi->nr_cpus)
		wrong = "the service CPU must be one of the machine's, and not the boot CPU";
	if (!wrong)
		return 0;
	format(why, why_size, "the monitor cannot start: %s", wrong);
	return -EINVAL;
}

static int init_cpus(const struct boot_info *bi)
{
	int err = 0;

	nr_cpus = bi->nr_cpus;
	for_each_cpu (c) {
		c->id = (u32)(c - cpus);
		c->hwid = bi->cpu_hwid[c->id];
		c->state = CPU_ABSENT;
		err = arch_start_cpu(c);
		if (err)
			return err;
	}
	return 0;
}

static int hide_redirects(const struct boot_info *bi, char *why, size_t why_size)
{
	int err = bi->config.hide ? shadow_hide() : 0;

	if (err)
		format(why, why_size,
		       "hide=yes: %s has no page that can be executed and not read; take the line "
		       "out of suture.conf",
		       arch_stage2_format()->name);
	return err;
}

/* What the guest must not reach or take the place of; NULL if there is no NIC. */
static const struct pci_guarded *guard_nic(const struct boot_info *bi)
{
	static struct pci_guarded guarded;

	if (!bi->nic_present)
		return NULL;
	guarded = (struct pci_guarded){bi->nic_bdf, &bi->nic_bars, bi->ecam, bi->ecam_end_bus};
	pci_filter_init(&guarded);
	return &guarded;
}

/* The management NIC as it is, its memory in *bi; NULL if there is none. */
static const struct pci_device *find_nic(struct boot_info *bi)
{
	static struct pci_device device;
	const struct pci_device *nic = NULL;

	pci_init(bi->ecam, bi->ecam_end_bus);
	if (bi->nic_present && !pci_look(bi->nic_bdf, &device))
		nic = &device;
	for_each_bar (nic, bar)
		if (!bar->io)
			ranges_add(&bi->nic_bars, bar->base, bar->size);
	return nic;
}

static int hide_ours(const struct boot_info *bi, const struct pci_device *nic)
{
	const struct pci_guarded *guarded = guard_nic(bi);
	int err = hide_memory(bi->memory.v, bi->memory_size);

	if (!err && guarded)
		err = pci_guest_hide(guarded);
	for_each_bar (nic, bar)
		if (!err && !bar->io)
			err = hide_device(bar->base, bar->size);
	return err;
}

static int map_devices(struct idmap *m, const struct boot_info *bi, const struct pci_device *nic)
{
	const u32 device = PT_READ | PT_WRITE | PT_DEVICE;
	int err = 0;

	if (bi->ecam.v)
		err = idmap_add(m, bi->ecam.v, (bi->ecam_end_bus + 1ull) << 20, bi->ecam.v, device,
				false);
	for_each_bar (nic, bar)
		if (!err && !bar->io)
			err = idmap_add(m, bar->base, bar->size, bar->base, device, false);
	return err;
}

/* The monitor's own page tables: of memory, only its image can be executed. */
static int map_own(const struct boot_info *bi, const struct pci_device *nic)
{
	static struct pgtable tables;
	struct idmap m = {0};
	int err = idmap_add(&m, bi->memory.v, bi->image_size, bi->memory.v,
			    PT_READ | PT_WRITE | PT_EXEC, false);

	if (!err)
		err = map_devices(&m, bi, nic);
	if (!err)
		err = arch_start_map(&m);
	if (!err)
		err = pgtable_init(&tables, arch_monitor_format());
	if (!err)
		err = idmap_build(&m, &tables, arch_physical_limit(), PT_READ | PT_WRITE);
	if (!err)
		arch_start_tables(tables.root);
	return err;
}

static int set_up(const struct boot_info *bi, const struct pci_device *nic)
{
	int err = arch_start_shared();

	if (!err)
		err = init_cpus(bi);
	if (!err)
		err = hide_ours(bi, nic);
	if (!err)
		err = map_own(bi, nic);
	if (!err)
		err = hide_build();
	return err ? err : mailbox_init();
}

int core_init(struct boot_info *bi, char *why, size_t why_size)
{
	const struct pci_device *nic;
	int err = check_boot_info(bi, why, why_size);

	if (!err)
		err = arch_start_probe(bi, why, why_size);
	if (!err)
		err = hide_redirects(bi, why, why_size);
	if (err)
		return err;
	log_set_level((enum log_level)bi->config.log_level);
	pool_init(PA(bi->memory.v + bi->image_size), bi->memory_size - bi->image_size);
	nic = find_nic(bi);
	err = set_up(bi, nic);
	if (err == -ENOMEM)
		format(why, why_size, "memory=%lluM is too small for the monitor on this machine",
		       bi->memory_size >> 20);
	else if (err)
		format(why, why_size,
		       "the monitor's memory, its NIC and the interrupt controller overlap (%s)",
		       errno_name(err));
	if (err)
		return err;

	arch_start_intercepts(nic);
	log_info("%s, %u CPUs, firmware %s", arch_start_name(), nr_cpus, bi->firmware);
	return 0;
}

int start_before_guest(const struct boot_info *bi)
{
	struct suture_acpi_body *acpi = arch_ptr(bi->acpi_body);
	int err = guest_mem_init(bi->ram, bi->nr_ram, bi->memory.v, bi->memory_size);

	if (err)
		return err;
	hide_each_replaced(guest_ram_hide);
	err = arch_start_service(&cpus[bi->service_cpu]);
	if (err) {
		log_error("the service CPU (number %llu in the firmware's tables) does not start",
			  (unsigned long long)cpus[bi->service_cpu].hwid);
		return err;
	}
	acpi->bell_line = arch_bell_line();
	acpi->insn = arch_start_hypercall_insn();
	return 0;
}
