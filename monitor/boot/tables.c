/* SPDX-License-Identifier: BSD-2-Clause */
#include <efi.h>

#include "arch/boot.h"
#include "boot/efi.h"
#include "boot/iommu.h"
#include "boot/iort.h"
#include "lib/string.h"

static EFI_GUID acpi_guids[] = {ACPI_20_TABLE_GUID, ACPI_TABLE_GUID};
static EFI_GUID dt_guid = EFI_DTB_TABLE_GUID;

static EFI_CONFIGURATION_TABLE *find_entry(struct boot *b, const EFI_GUID *guid)
{
	for (UINTN i = 0; i < b->st->NumberOfTableEntries; i++)
		if (!memcmp(&b->st->ConfigurationTable[i].VendorGuid, guid, sizeof(*guid)))
			return &b->st->ConfigurationTable[i];
	return NULL;
}

/* Boot CPU first, and the service CPU by the configuration. */
static int choose_cpus(struct boot *b)
{
	struct boot_info *info = b->info;
	u64 boot = arch_boot_hwid();
	u32 first = 0;

	while (first < info->nr_cpus && info->cpu_hwid[first] != boot)
		first++;
	if (first == info->nr_cpus)
		return fail(b, -ENODEV, "%s does not list the boot CPU, ID %llu",
			    b->firmware_rsdp ? "ACPI's MADT" : "the device tree", boot);
	memmove(info->cpu_hwid + 1, info->cpu_hwid, first * sizeof(*info->cpu_hwid));
	info->cpu_hwid[0] = boot;

	if (info->nr_cpus < 2)
		return fail(b, -ENODEV, "only one CPU: none is left for the monitor");
	info->service_cpu = info->nr_cpus - 1;
	if (b->config.service_cpu < 0)
		return 0;
	for (u32 i = 1; i < info->nr_cpus; i++) {
		info->service_cpu = i;
		if (info->cpu_hwid[i] == (u64)b->config.service_cpu)
			return 0;
	}
	return fail(b, -EINVAL, "service_cpu=%lld: %s", (long long)b->config.service_cpu,
		    boot == (u64)b->config.service_cpu
			    ? "that is the boot CPU, which the guest needs"
			    : "no such CPU");
}

/* What the firmware has of both descriptions of the machine. */
static int find_tables(struct boot *b)
{
	EFI_CONFIGURATION_TABLE *entry = NULL;

	for (u32 i = 0; i < ARRAY_SIZE(acpi_guids) && !entry; i++)
		entry = find_entry(b, &acpi_guids[i]);
	if (entry)
		b->firmware_rsdp = entry->VendorTable;
	entry = find_entry(b, &dt_guid);
	if (entry && dt_open(&b->firmware_dt, entry->VendorTable)) {
		b->firmware_dt.blob = NULL;
		return fail(b, -EINVAL, "the firmware's device tree is malformed");
	}
	if (!b->firmware_rsdp && !entry)
		return fail(b, -ENODEV, "the firmware has neither ACPI tables nor a device tree");
	return 0;
}

/* CPUs, PSCI and configuration space. How many CPUs; -E2BIG. */
static int read_machine(struct boot *b)
{
	struct boot_info *info = b->info;

	if (b->firmware_rsdp) {
		info->psci = acpi_psci(b->firmware_rsdp);
		info->ecam = acpi_ecam(b->firmware_rsdp, &info->ecam_end_bus);
		return acpi_cpus(b->firmware_rsdp, info->cpu_hwid, MAX_CPUS);
	}
	info->psci = dt_psci(&b->firmware_dt);
	info->ecam = dt_ecam(&b->firmware_dt, &info->ecam_end_bus);
	return dt_cpus(&b->firmware_dt, info->cpu_hwid, MAX_CPUS);
}

/* The guest may go by either description, if it has both. */
static void read_irqs(struct boot *b)
{
	struct boot_info *info = b->info;

	if (b->firmware_rsdp) {
		info->distributor = acpi_distributor(b->firmware_rsdp);
		acpi_irqs(b->firmware_rsdp, &info->irqs);
	}
	if (b->firmware_dt.blob) {
		if (!info->distributor.v)
			info->distributor = dt_distributor(&b->firmware_dt);
		dt_irqs(&b->firmware_dt, &info->irqs);
	}
}

/* Of the interrupt controller what belongs to single CPUs. */
static int read_redistributors(struct boot *b)
{
	struct boot_ranges *r = &b->info->redistributors;
	u64 hwid = b->info->cpu_hwid[b->info->service_cpu];
	bool fits = b->firmware_rsdp ? acpi_redistributors(b->firmware_rsdp, hwid, r)
				     : dt_redistributors(&b->firmware_dt, r);

	return fits ? 0
		    : fail(b, -E2BIG, "the GIC has more than %zu regions of redistributors",
			   ARRAY_SIZE(r->range));
}

static int read_ioapics(struct boot *b)
{
	struct boot_ranges *r = &b->info->ioapics;

	if (!b->firmware_rsdp || acpi_ioapics(b->firmware_rsdp, r))
		return 0;
	return fail(b, -E2BIG, "more than %zu IOAPICs", ARRAY_SIZE(r->range));
}

static bool is_stuck(const struct boot *b)
{
	const struct acpi_header *iort =
		b->firmware_rsdp ? acpi_find(b->firmware_rsdp, "IORT") : NULL;

	return iort && iort_is_stuck(iort);
}

static u32 read_register(u64 address)
{
	return *(const volatile u32 *)address;
}

/* -EACCES: the firmware's IOMMU translates, by tables that do not have the monitor's memory. */
static int check_iommus(struct boot *b)
{
	static const char *const signatures[] = {"DMAR", "IVRS"};
	u64 on = 0;

	for (u32 i = 0; b->firmware_rsdp && !on && i < ARRAY_SIZE(signatures); i++)
		on = iommu_enabled(acpi_find(b->firmware_rsdp, signatures[i]), read_register);
	return on ? fail(b, -EACCES,
			 "nic=: the firmware has the IOMMU at 0x%llx on, which keeps the NIC from "
			 "the "
			 "monitor's memory: turn DMA protection off in its setup, or use nic=none",
			 on)
		  : 0;
}

int tables_read(struct boot *b)
{
	int err = find_tables(b), count;

	if (!err && !b->config.nic_none)
		err = check_iommus(b);
	if (err)
		return err;
	if (!b->config.nic_none && is_stuck(b))
		return fail(b, -EOPNOTSUPP,
			    "nic=: the guest could cut off the NIC with the machine's SMMU, which "
			    "ACPI's IORT does not let us hide: turn it off in the firmware, or use "
			    "nic=none");
	count = read_machine(b);
	if (count < 0)
		return fail(b, count, "more than %u CPUs", MAX_CPUS);
	b->info->nr_cpus = (u32)count;
	read_irqs(b);
	err = choose_cpus(b);
	if (!err)
		err = read_ioapics(b);
	return err ? err : read_redistributors(b);
}

/* The monitor's BARs, if the guest would give them to other devices. */
static struct boot_ranges claimed_bars(const struct boot *b)
{
	static const struct boot_ranges none;

	return ARCH_OS_PLACES_BARS ? b->info->nic_bars : none;
}

/* And if it leaves BARs where they are, it must give them to no device that comes later. */
static struct boot_ranges reserved_bars(const struct boot *b)
{
	static const struct boot_ranges none;

	return ARCH_OS_PLACES_BARS ? none : b->info->nic_bars;
}

static int allocate_pages(struct boot *b, size_t size, EFI_PHYSICAL_ADDRESS *base, UINTN *pages)
{
	*pages = (size + PAGE_SIZE - 1) / PAGE_SIZE;
	*base = ARCH_MEMORY_LIMIT - 1;
	if (b->bs->AllocatePages(AllocateMaxAddress, EfiACPIReclaimMemory, *pages, base)) {
		*base = 0;
		return fail(b, -ENOMEM, "no memory for the guest's tables");
	}
	memset((void *)*base, 0, *pages * PAGE_SIZE);
	return 0;
}

static int install_acpi(struct boot *b)
{
	struct acpi_edit edit = {.service_hwid = b->info->cpu_hwid[b->info->service_cpu],
				 .claimed = claimed_bars(b),
				 .reserved = reserved_bars(b),
				 .last_bus = b->info->last_bus};
	EFI_STATUS status;
	int err = allocate_pages(b, acpi_build_size(b->firmware_rsdp, &edit), &b->tables,
				 &b->tables_pages);

	if (err)
		return err;
	acpi_build(b->firmware_rsdp, &edit, (void *)b->tables, &b->suture);
	b->info->acpi_body = PA((u64)&b->suture->body);

	/* both names of the root: the older one must not lead to what the newer one hides */
	for (u32 i = 0; i < ARRAY_SIZE(acpi_guids); i++) {
		EFI_CONFIGURATION_TABLE *entry = find_entry(b, &acpi_guids[i]);
		if (!entry)
			continue;
		b->firmware_tables[i] = entry->VendorTable;
		status = b->bs->InstallConfigurationTable(&acpi_guids[i], (void *)b->tables);
		if (status)
			return fail(b, -EIO, "the firmware does not take our ACPI tables: %s",
				    efi_error(status));
	}
	return 0;
}

/* Without ACPI, what the agent looks for lies behind the tree. */
static void place_body(struct boot *b, u64 at)
{
	struct suture_acpi_body *body = (void *)at;

	if (b->suture)
		return;
	body->abi_version = SUTURE_ABI_VERSION;
	b->info->acpi_body = PA(at);
}

static int install_dt(struct boot *b)
{
	struct boot_info *info = b->info;
	struct dt_edit edit = {.service_hwid = info->cpu_hwid[info->service_cpu],
			       .memory = {info->memory.v, info->memory_size},
			       .claimed = claimed_bars(b)};
	size_t size = ALIGN_UP(dt_build_size(&b->firmware_dt), (size_t)8);
	EFI_STATUS status;
	int err = allocate_pages(b, size + sizeof(struct suture_acpi_body), &b->dt, &b->dt_pages);

	if (err)
		return err;
	place_body(b, b->dt + size);
	edit.body = info->acpi_body;
	err = dt_build(&b->firmware_dt, &edit, (void *)b->dt, size);
	if (err < 0)
		return fail(b, err, "the firmware's device tree is malformed");
	status = b->bs->InstallConfigurationTable(&dt_guid, (void *)b->dt);
	if (status)
		return fail(b, -EIO, "the firmware does not take our device tree: %s",
			    efi_error(status));
	return 0;
}

int tables_install(struct boot *b)
{
	int err = b->firmware_rsdp ? install_acpi(b) : 0;

	if (!err && b->firmware_dt.blob)
		err = install_dt(b);
	return err;
}

static void restore_acpi(struct boot *b)
{
	for (u32 i = 0; i < ARRAY_SIZE(acpi_guids); i++) {
		EFI_CONFIGURATION_TABLE *entry = find_entry(b, &acpi_guids[i]);
		if (b->tables && entry && entry->VendorTable == (void *)b->tables)
			b->bs->InstallConfigurationTable(&acpi_guids[i], b->firmware_tables[i]);
	}
	if (b->tables)
		b->bs->FreePages(b->tables, b->tables_pages);
	b->tables = 0;
	b->suture = NULL;
}

static void restore_dt(struct boot *b)
{
	EFI_CONFIGURATION_TABLE *entry = find_entry(b, &dt_guid);

	if (b->dt && entry && entry->VendorTable == (void *)b->dt)
		b->bs->InstallConfigurationTable(&dt_guid, (void *)b->firmware_dt.blob);
	if (b->dt)
		b->bs->FreePages(b->dt, b->dt_pages);
	b->dt = 0;
}

void tables_restore(struct boot *b)
{
	restore_dt(b);
	restore_acpi(b);
}

void tables_assert(struct boot *b)
{
	for (u32 i = 0; i < ARRAY_SIZE(acpi_guids); i++) {
		EFI_CONFIGURATION_TABLE *entry = find_entry(b, &acpi_guids[i]);
		if (entry && b->tables)
			entry->VendorTable = (void *)b->tables;
	}
}
