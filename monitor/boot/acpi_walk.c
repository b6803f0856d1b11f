/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/acpi_walk.h"
#include "lib/string.h"

/* Local APIC (5.2.12.2), x2APIC (5.2.12.12), GICC (5.2.12.14). */
static const struct acpi_madt_cpu madt_cpus[] = {
	{.type = 0, .length = 8, .id = 3, .id_size = 1, .flags = 4, .enable = 3},
	{.type = 9, .length = 16, .id = 4, .id_size = 4, .flags = 8, .enable = 3},
	{.type = ACPI_MADT_GICC, .length = 76, .id = 68, .id_size = 8, .flags = 12, .enable = 9},
};

u64 acpi_le(const void *p, size_t size)
{
	u64 v = 0;

	memcpy(&v, p, size);
	return v;
}

u8 acpi_sum(const void *p, size_t len)
{
	u8 total = 0;

	for (const u8 *byte = p; len; len--)
		total += *byte++;
	return total;
}

void acpi_seal(struct acpi_header *table)
{
	table->checksum = 0;
	table->checksum = (u8)-acpi_sum(table, table->length);
}

struct acpi_root acpi_root(const struct acpi_rsdp *rsdp)
{
	bool wide = rsdp->revision >= 2 && rsdp->xsdt;
	struct acpi_root r = {.table = (const void *)(uintptr_t)(wide ? rsdp->xsdt : rsdp->rsdt),
			      .entry_size = wide ? 8 : 4};

	if (r.table && r.table->length >= sizeof(*r.table))
		r.count = (u32)(r.table->length - sizeof(*r.table)) / r.entry_size;
	return r;
}

const struct acpi_header *acpi_root_entry(const struct acpi_root *r, u32 i)
{
	return (const void *)(uintptr_t)acpi_le((const u8 *)(r->table + 1) + i * r->entry_size,
						r->entry_size);
}

bool acpi_is(const struct acpi_header *t, const char *signature)
{
	return !memcmp(t->signature, signature, 4);
}

const struct acpi_header *acpi_find(const struct acpi_rsdp *rsdp, const char *signature)
{
	struct acpi_root r = acpi_root(rsdp);

	for (u32 i = 0; i < r.count; i++) {
		const struct acpi_header *t = acpi_root_entry(&r, i);
		if (t && acpi_is(t, signature))
			return t;
	}
	return NULL;
}

const struct acpi_header *acpi_dsdt(const struct acpi_header *fadt)
{
	const u8 *p = (const u8 *)fadt;
	u64 dsdt = 0;

	if (fadt->length >= ACPI_FADT_X_DSDT + 8)
		dsdt = acpi_le(p + ACPI_FADT_X_DSDT, 8);
	if (!dsdt && fadt->length >= ACPI_FADT_DSDT + 4)
		dsdt = acpi_le(p + ACPI_FADT_DSDT, 4);
	return (const void *)(uintptr_t)dsdt;
}

const u8 *acpi_next_entry(const struct acpi_header *madt, u32 *at)
{
	const u8 *entry = (const u8 *)madt + *at;

	if (*at + 2 > madt->length || entry[1] < 2 || *at + entry[1] > madt->length)
		return NULL;
	*at += entry[1];
	return entry;
}

const u8 *acpi_next_cpu(const struct acpi_header *madt, u32 *at, const struct acpi_madt_cpu **kind)
{
	const u8 *entry;

	while ((entry = acpi_next_entry(madt, at)))
		for (u32 i = 0; i < ARRAY_SIZE(madt_cpus); i++) {
			*kind = &madt_cpus[i];
			if (entry[0] == (*kind)->type && entry[1] >= (*kind)->length)
				return entry;
		}
	return NULL;
}

#define MCFG_ENTRIES	44
#define MCFG_ENTRY_SIZE 16
#define MCFG_SEGMENT	8
#define MCFG_START_BUS	10

const u8 *acpi_mcfg_entry(const struct acpi_header *mcfg)
{
	for (u32 at = MCFG_ENTRIES; at + MCFG_ENTRY_SIZE <= mcfg->length; at += MCFG_ENTRY_SIZE) {
		const u8 *entry = (const u8 *)mcfg + at;

		if (!acpi_le(entry + MCFG_SEGMENT, 2) && !entry[MCFG_START_BUS])
			return entry;
	}
	return NULL;
}
