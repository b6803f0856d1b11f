/* SPDX-License-Identifier: BSD-2-Clause */
/* What the monitor reads in the firmware's tables. Sections are those of the ACPI
 * specification 6.5. */
#include "boot/acpi.h"
#include "lib/errno.h"

#define MADT_ENABLED  1u
#define MADT_IOAPIC   1 /* 5.2.12.3 */
#define IOAPIC_SIZE   0x400
#define MADT_GICD     12 /* 5.2.12.15 */
#define MADT_GICR     14 /* 5.2.12.17 */
#define GICC_GICR     60
#define GICR_SIZE     0x20000 /* of a GICv3, IHI 0069, 12.10 */
#define AML_BYTE      0x0a    /* a constant of a byte follows (20.2.3) */
#define FADT_ARM_BOOT 129     /* 5.2.9.4: there is PSCI, it is called by HVC */

int acpi_cpus(const struct acpi_rsdp *rsdp, u64 *hwid, u32 max)
{
	const struct acpi_header *madt = acpi_find(rsdp, "APIC");
	const struct acpi_madt_cpu *kind;
	const u8 *entry;
	u32 at = ACPI_MADT_ENTRIES, count = 0;

	while (madt && (entry = acpi_next_cpu(madt, &at, &kind))) {
		u64 id = acpi_le(entry + kind->id, kind->id_size);
		if (!(acpi_le(entry + kind->flags, 4) & MADT_ENABLED))
			continue;
		bool known = false; /* as local APIC and as x2APIC */
		for (u32 i = 0; i < count; i++)
			known |= hwid[i] == id;
		if (known)
			continue;
		if (count == max)
			return -E2BIG;
		hwid[count++] = id;
	}
	return (int)count;
}

pa_t acpi_ecam(const struct acpi_rsdp *rsdp, u32 *end_bus)
{
	const struct acpi_header *mcfg = acpi_find(rsdp, "MCFG");
	const u8 *entry = mcfg ? acpi_mcfg_entry(mcfg) : NULL;

	*end_bus = entry ? entry[ACPI_MCFG_END_BUS] : 0;
	return PA(entry ? acpi_le(entry + ACPI_MCFG_ECAM, 8) : 0);
}

/* Each CPU has its own in GICC where there are no ranges. */
static bool add_gicc(const struct acpi_header *madt, u64 hwid, struct boot_ranges *r)
{
	const struct acpi_madt_cpu *kind;
	const u8 *entry;
	u32 at = ACPI_MADT_ENTRIES;

	while ((entry = acpi_next_cpu(madt, &at, &kind)))
		if (kind->type == ACPI_MADT_GICC && acpi_le(entry + kind->id, 8) == hwid &&
		    acpi_le(entry + GICC_GICR, 8))
			return ranges_add(r, acpi_le(entry + GICC_GICR, 8), GICR_SIZE);
	return true;
}

bool acpi_redistributors(const struct acpi_rsdp *rsdp, u64 hwid, struct boot_ranges *r)
{
	const struct acpi_header *madt = acpi_find(rsdp, "APIC");
	const u8 *entry;
	bool fits = true;

	for (u32 at = ACPI_MADT_ENTRIES; madt && (entry = acpi_next_entry(madt, &at));)
		if (entry[0] == MADT_GICR && entry[1] >= 16)
			fits &= ranges_add(r, acpi_le(entry + 4, 8), acpi_le(entry + 12, 4));
	if (madt && !r->count)
		fits = add_gicc(madt, hwid, r);
	return fits;
}

bool acpi_ioapics(const struct acpi_rsdp *rsdp, struct boot_ranges *r)
{
	const struct acpi_header *madt = acpi_find(rsdp, "APIC");
	const u8 *entry;
	bool fits = true;

	for (u32 at = ACPI_MADT_ENTRIES; madt && (entry = acpi_next_entry(madt, &at));)
		if (entry[0] == MADT_IOAPIC && entry[1] >= 12)
			fits &= ranges_add(r, acpi_le(entry + 4, 4), IOAPIC_SIZE);
	return fits;
}

pa_t acpi_distributor(const struct acpi_rsdp *rsdp)
{
	const struct acpi_header *madt = acpi_find(rsdp, "APIC");
	const u8 *entry;

	for (u32 at = ACPI_MADT_ENTRIES; madt && (entry = acpi_next_entry(madt, &at));)
		if (entry[0] == MADT_GICD && entry[1] >= 16)
			return PA(acpi_le(entry + 8, 8));
	return PA(0);
}

/* Of two bytes at least, but for constants of one byte in AML. */
static void add_irqs(const struct acpi_header *t, struct boot_irqs *irqs)
{
	const u8 *p = (const u8 *)t;

	for (u32 at = sizeof(*t); t && at + 2 <= t->length; at++) {
		irqs_add(irqs, (u32)acpi_le(p + at, 2));
		if (p[at] == AML_BYTE)
			irqs_add(irqs, p[at + 1]);
	}
}

void acpi_irqs(const struct acpi_rsdp *rsdp, struct boot_irqs *irqs)
{
	struct acpi_root r = acpi_root(rsdp);

	for (u32 i = 0; i < r.count; i++) {
		const struct acpi_header *t = acpi_root_entry(&r, i);

		add_irqs(t, irqs);
		if (t && acpi_is(t, "FACP"))
			add_irqs(acpi_dsdt(t), irqs);
	}
}

enum boot_psci acpi_psci(const struct acpi_rsdp *rsdp)
{
	const struct acpi_header *fadt = acpi_find(rsdp, "FACP");
	u64 flags = 0;

	if (fadt && fadt->length >= FADT_ARM_BOOT + 2)
		flags = acpi_le((const u8 *)fadt + FADT_ARM_BOOT, 2);
	return !(flags & 1) ? BOOT_PSCI_NONE : flags & 2 ? BOOT_PSCI_HVC : BOOT_PSCI_SMC;
}
