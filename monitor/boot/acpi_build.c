/* SPDX-License-Identifier: BSD-2-Clause */
/* The tables that the guest sees. Sections are those of the ACPI specification 6.5. */
#include "boot/acpi.h"
#include "boot/acpi_reserve.h"
#include "boot/iort.h"
#include "lib/string.h"

#define RSDP_V1_SIZE 20 /* 5.2.5.3 */
#define TABLE_ALIGN  64

static void disable_cpu(struct acpi_header *madt, u64 hwid)
{
	const struct acpi_madt_cpu *kind;
	const u8 *entry;
	u32 at = ACPI_MADT_ENTRIES;

	while ((entry = acpi_next_cpu(madt, &at, &kind)))
		if (acpi_le(entry + kind->id, kind->id_size) == hwid)
			((u8 *)madt)[entry - (u8 *)madt + kind->flags] &= (u8)~kind->enable;
	acpi_seal(madt);
}

/* The offset of a pattern in AML, at `from` or behind it; 0 if there is none. */
static u32 find_bytes(const struct acpi_header *aml, u32 from, const void *pattern, u32 len)
{
	for (u32 at = MAX(from, (u32)sizeof(*aml)); at + len <= aml->length; at++)
		if (!memcmp((const u8 *)aml + at, pattern, len))
			return at;
	return 0;
}

/* Remove the definition of \_S3 by renaming it: NameOp, root prefix or none (20.2.2, 20.2.5.1). */
static void hide_s3(struct acpi_header *aml)
{
	u32 at;

	while ((at = find_bytes(aml, 0, "\x08_S3_", 5)))
		((u8 *)aml)[at + 1] = 'X';
	while ((at = find_bytes(aml, 0, "\x08\\_S3_", 6)))
		((u8 *)aml)[at + 2] = 'X';
}

/*
 * A CPU's device may have a copy of its MADT entry, as a constant buffer that _MAT returns
 * (6.2.10). The OS hot-adds the CPU by it: disable the CPU there too. In AML a buffer's bytes
 * follow its size, here a ByteConst (20.2.5.4).
 */
static void hide_cpu(struct acpi_header *aml, const struct acpi_header *madt, u64 hwid)
{
	const struct acpi_madt_cpu *kind;
	const u8 *entry;
	u32 at = ACPI_MADT_ENTRIES, hit;

	while ((entry = acpi_next_cpu(madt, &at, &kind))) {
		u8 pattern[2 + UINT8_MAX] = {0x0a, entry[1]};
		if (acpi_le(entry + kind->id, kind->id_size) != hwid)
			continue;
		memcpy(pattern + 2, entry, entry[1]);
		for (hit = 0; (hit = find_bytes(aml, hit + 1, pattern, 2u + entry[1]));)
			((u8 *)aml)[hit + 2 + kind->flags] &= (u8)~kind->enable;
	}
}

/* Address space descriptors of memory (6.4.3.5.1, 6.4.3.5.2): five numbers behind a head of 6. */
static const struct window {
	u8 head[4], size;
} windows[] = {
	{.head = {0x87, 5 * 4 + 3, 0, 0}, .size = 4},
	{.head = {0x8a, 5 * 8 + 3, 0, 0}, .size = 8},
};

/* What the monitor has claimed must not be in a window that the OS gives out. */
static void cut_window(u8 *at, u32 size, const struct boot_ranges *claimed)
{
	enum { GRANULARITY, FIRST, LAST, TRANSLATION, LENGTH, NUMBERS };
	u64 n[NUMBERS];
	struct boot_range w;

	for (u32 i = 0; i < NUMBERS; i++)
		n[i] = acpi_le(at + 6 + i * size, size);
	w = (struct boot_range){n[FIRST], n[LENGTH]};
	if (n[TRANSLATION] || !n[LENGTH] || n[LAST] - n[FIRST] + 1 != n[LENGTH] ||
	    !ranges_cut(claimed, &w) || !w.size)
		return;
	n[FIRST] = w.base;
	n[LAST] = w.base + w.size - 1;
	n[LENGTH] = w.size;
	for (u32 i = 0; i < NUMBERS; i++)
		memcpy(at + 6 + i * size, &n[i], size);
}

static void cut_windows(struct acpi_header *aml, const struct boot_ranges *claimed)
{
	for (u32 i = 0; i < ARRAY_SIZE(windows); i++) {
		const struct window *w = &windows[i];

		for (u32 at = 0; (at = find_bytes(aml, at + 1, w->head, sizeof(w->head)));)
			if (at + 6 + 5 * w->size <= aml->length)
				cut_window((u8 *)aml + at, w->size, claimed);
	}
}

static void edit_aml(struct acpi_header *aml, const struct acpi_header *madt,
		     const struct acpi_edit *edit)
{
	hide_s3(aml);
	hide_cpu(aml, madt, edit->service_hwid);
	cut_windows(aml, &edit->claimed);
	acpi_seal(aml);
}

/*
 * Linux looks at each bus up to the end of configuration space in memory, through ports, 32 times
 * (pcibios_fixup_peer_bridges()), and each time exits. One bus alone would be taken for a broken
 * table (pci_mmcfg_reject_broken()).
 */
static void cut_ecam(struct acpi_header *mcfg, u32 last_bus)
{
	const u8 *entry = acpi_mcfg_entry(mcfg);

	if (!last_bus || !entry || entry[ACPI_MCFG_END_BUS] <= last_bus)
		return;
	((u8 *)mcfg)[entry - (u8 *)mcfg + ACPI_MCFG_END_BUS] = (u8)last_bus;
	acpi_seal(mcfg);
}

/*
 * A guest that turns an IOMMU on would cut off the monitor's NIC. Firmware delivers what SDEI is
 * for to the monitor's exception level (arm64), so there is none.
 */
static bool is_hidden(const struct acpi_header *t)
{
	return acpi_is(t, "DMAR") || acpi_is(t, "IVRS") || acpi_is(t, "SDEI");
}

static bool is_changed(const struct acpi_header *t)
{
	return acpi_is(t, "APIC") || acpi_is(t, "FACP") || acpi_is(t, "SSDT") ||
	       acpi_is(t, "IORT") || acpi_is(t, "MCFG");
}

static void set_dsdt(struct acpi_header *fadt, const struct acpi_header *dsdt)
{
	u64 wide = (uintptr_t)dsdt;
	u32 narrow = wide >> 32 ? 0 : (u32)wide;

	memcpy((u8 *)fadt + ACPI_FADT_DSDT, &narrow, 4);
	if (fadt->length >= ACPI_FADT_X_DSDT + 8)
		memcpy((u8 *)fadt + ACPI_FADT_X_DSDT, &wide, 8);
	acpi_seal(fadt);
}

size_t acpi_build_size(const struct acpi_rsdp *rsdp, const struct acpi_edit *edit)
{
	struct acpi_root r = acpi_root(rsdp);
	size_t size = sizeof(struct acpi_rsdp) + sizeof(struct acpi_suture) +
		      sizeof(struct acpi_header) + (r.count + 2) * 8 +
		      acpi_reserve_size(&edit->reserved) + 4 * TABLE_ALIGN;

	for (u32 i = 0; i < r.count; i++) {
		const struct acpi_header *t = acpi_root_entry(&r, i);
		if (!t || !is_changed(t))
			continue;
		size += t->length + TABLE_ALIGN;
		if (acpi_is(t, "FACP") && acpi_dsdt(t))
			size += acpi_dsdt(t)->length + TABLE_ALIGN;
	}
	return size;
}

/* Take len bytes from the buffer that begins at *next. */
static void *take_bytes(u8 **next, size_t len)
{
	void *p = *next;

	*next += ALIGN_UP(len, (size_t)TABLE_ALIGN);
	return p;
}

static struct acpi_header *copy_table(u8 **next, const struct acpi_header *t)
{
	return memcpy(take_bytes(next, t->length), t, t->length);
}

static struct acpi_header *changed_copy(u8 **next, const struct acpi_header *t,
					const struct acpi_header *madt,
					const struct acpi_edit *edit)
{
	struct acpi_header *copy = copy_table(next, t);

	if (acpi_is(t, "APIC")) {
		disable_cpu(copy, edit->service_hwid);
	} else if (acpi_is(t, "IORT")) {
		iort_pass_smmus(copy);
	} else if (acpi_is(t, "MCFG")) {
		cut_ecam(copy, edit->last_bus);
	} else if (acpi_is(t, "SSDT")) {
		edit_aml(copy, madt, edit);
	} else if (acpi_dsdt(t)) {
		struct acpi_header *dsdt = copy_table(next, acpi_dsdt(t));
		edit_aml(dsdt, madt, edit);
		set_dsdt(copy, dsdt);
	}
	return copy;
}

/* Add a table to the XSDT, at slot; returns the next one. */
static u8 *add_entry(u8 *slot, const void *table)
{
	u64 entry = (uintptr_t)table;

	memcpy(slot, &entry, 8);
	return slot + 8;
}

void acpi_build(const struct acpi_rsdp *rsdp, const struct acpi_edit *edit, void *buf,
		struct acpi_suture **suture)
{
	struct acpi_root r = acpi_root(rsdp);
	u8 *next = buf;
	struct acpi_rsdp *root = take_bytes(&next, sizeof(*root));
	struct acpi_header *xsdt = take_bytes(&next, sizeof(*xsdt) + (r.count + 2) * 8);
	struct acpi_suture *own = take_bytes(&next, sizeof(*own));
	const struct acpi_header *madt = acpi_find(rsdp, "APIC");
	u8 *slot = (u8 *)(xsdt + 1);

	*own = (struct acpi_suture){
		.header = {.length = sizeof(*own),
			   .revision = 1,
			   .oem_revision = 1,
			   .creator_revision = 1},
		.body.abi_version = SUTURE_ABI_VERSION,
	};
	memcpy(own->header.signature, SUTURE_ACPI_SIGNATURE, 4);
	memcpy(own->header.oem_id, "SUTURE", 6);
	memcpy(own->header.oem_table_id, "SUTURE  ", 8);
	memcpy(own->header.creator_id, "SUTR", 4);
	acpi_seal(&own->header);
	slot = add_entry(slot, own);

	for (u32 i = 0; i < r.count; i++) {
		const struct acpi_header *t = acpi_root_entry(&r, i);
		if (!t || is_hidden(t))
			continue;
		slot = add_entry(slot, is_changed(t) ? changed_copy(&next, t, madt, edit) : t);
	}
	if (edit->reserved.count) {
		struct acpi_header *ssdt = take_bytes(&next, acpi_reserve_size(&edit->reserved));

		acpi_reserve(&edit->reserved, ssdt);
		slot = add_entry(slot, ssdt);
	}
	*xsdt = *r.table; /* with the vendor's names, by which quirks are found */
	memcpy(xsdt->signature, "XSDT", 4);
	xsdt->revision = 1;
	xsdt->length = (u32)(slot - (u8 *)xsdt);
	acpi_seal(xsdt);

	memcpy(root, rsdp, RSDP_V1_SIZE);
	root->revision = 2;
	root->rsdt = 0;
	root->length = sizeof(*root);
	root->xsdt = (uintptr_t)xsdt;
	root->checksum = 0;
	root->checksum = (u8)-acpi_sum(root, RSDP_V1_SIZE);
	root->checksum_all = (u8)-acpi_sum(root, sizeof(*root));
	*suture = own;
}
