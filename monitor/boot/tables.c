/* SPDX-License-Identifier: BSD-2-Clause */
#include <efi.h>

#include "arch/boot.h"
#include "boot/efi.h"
#include "lib/string.h"

static EFI_GUID acpi_guids[] = {ACPI_20_TABLE_GUID, ACPI_TABLE_GUID};

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
		return fail(b, -ENODEV, "ACPI's MADT does not list the boot CPU, ID %llu", boot);
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

int tables_read(struct boot *b)
{
	EFI_CONFIGURATION_TABLE *entry = NULL;
	struct boot_info *info = b->info;
	int count;

	for (u32 i = 0; i < ARRAY_SIZE(acpi_guids) && !entry; i++)
		entry = find_entry(b, &acpi_guids[i]);
	if (!entry)
		return fail(b, -ENODEV, "the firmware has no ACPI tables");
	b->firmware_rsdp = entry->VendorTable;

	count = acpi_cpus(b->firmware_rsdp, info->cpu_hwid, MAX_CPUS);
	if (count < 0)
		return fail(b, count, "more than %u CPUs", MAX_CPUS);
	info->nr_cpus = (u32)count;
	info->ecam = acpi_ecam(b->firmware_rsdp, &info->ecam_end_bus);
	return choose_cpus(b);
}

int tables_install(struct boot *b)
{
	UINTN pages = (acpi_build_size(b->firmware_rsdp) + PAGE_SIZE - 1) / PAGE_SIZE;
	EFI_STATUS status;
	EFI_PHYSICAL_ADDRESS base = 0xffffffff;

	status = b->bs->AllocatePages(AllocateMaxAddress, EfiACPIReclaimMemory, pages, &base);
	if (status)
		return fail(b, -ENOMEM, "no memory for ACPI tables");
	b->tables = base;
	b->tables_pages = pages;
	memset((void *)base, 0, pages * PAGE_SIZE);
	acpi_build(b->firmware_rsdp, b->info->cpu_hwid[b->info->service_cpu], (void *)base,
		   &b->suture);
	b->info->acpi_body = PA((u64)&b->suture->body);

	/* both names of the root: the older one must not lead to what the newer one hides */
	for (u32 i = 0; i < ARRAY_SIZE(acpi_guids); i++) {
		EFI_CONFIGURATION_TABLE *entry = find_entry(b, &acpi_guids[i]);
		if (!entry)
			continue;
		b->firmware_tables[i] = entry->VendorTable;
		status = b->bs->InstallConfigurationTable(&acpi_guids[i], (void *)base);
		if (status)
			return fail(b, -EIO, "the firmware does not take our ACPI tables: %s",
				    efi_error(status));
	}
	return 0;
}

void tables_restore(struct boot *b)
{
	for (u32 i = 0; i < ARRAY_SIZE(acpi_guids); i++) {
		EFI_CONFIGURATION_TABLE *entry = find_entry(b, &acpi_guids[i]);
		if (b->tables && entry && entry->VendorTable == (void *)b->tables)
			b->bs->InstallConfigurationTable(&acpi_guids[i], b->firmware_tables[i]);
	}
	if (b->tables)
		b->bs->FreePages(b->tables, b->tables_pages);
	b->tables = 0;
}

void tables_assert(struct boot *b)
{
	for (u32 i = 0; i < ARRAY_SIZE(acpi_guids); i++) {
		EFI_CONFIGURATION_TABLE *entry = find_entry(b, &acpi_guids[i]);
		if (entry)
			entry->VendorTable = (void *)b->tables;
	}
}
