/* SPDX-License-Identifier: BSD-2-Clause */
/* Sections are those of the ACPI specification 6.5. */
#include "boot/acpi.h"
#include "lib/errno.h"
#include "lib/string.h"

#define MADT_ENTRIES	44 /* 5.2.12 */
#define MADT_ENABLED	1u
#define MADT_GICC	11 /* 5.2.12.14 */
#define MADT_GICR	14 /* 5.2.12.17 */
#define GICC_GICR	60
#define GICR_SIZE	0x20000 /* of a GICv3, IHI 0069, 12.10 */
#define IORT_NODES	36	/* Arm DEN0049, 3: how many, and where the first is */
#define IORT_SMMU	3	/* SMMUv1 and v2; v3 is the next */
#define MCFG_ENTRIES	44	/* PCI firmware specification 4.1.2 */
#define MCFG_ENTRY_SIZE 16
#define FADT_DSDT	40  /* 5.2.9 */
#define FADT_ARM_BOOT	129 /* 5.2.9.4: there is PSCI, it is called by HVC */
#define FADT_X_DSDT	140
#define RSDP_V1_SIZE	20 /* 5.2.5.3 */
#define TABLE_ALIGN	64

/* MADT entries of CPUs: local APIC (5.2.12.2), x2APIC (5.2.12.12), GICC (5.2.12.14). `enable`: the
 * flags by which the OS may use it, now or later. */
static const struct madt_cpu {
	u8 type, length, id, id_size, flags, enable;
} madt_cpus[] = {
	{.type = 0, .length = 8, .id = 3, .id_size = 1, .flags = 4, .enable = 3},
	{.type = 9, .length = 16, .id = 4, .id_size = 4, .flags = 8, .enable = 3},
	{.type = MADT_GICC, .length = 76, .id = 68, .id_size = 8, .flags = 12, .enable = 9},
};

static u64 read_le(const void *p, size_t size)
{
	u64 v = 0;

	memcpy(&v, p, size);
	return v;
}

static u8 byte_sum(const void *p, size_t len)
{
	u8 total = 0;

	for (const u8 *byte = p; len; len--)
		total += *byte++;
	return total;
}

void acpi_seal(struct acpi_header *table)
{
	table->checksum = 0;
	table->checksum = (u8)-byte_sum(table, table->length);
}

/* The root table: XSDT, or RSDT on firmware of ACPI 1.0; they differ in the size of their entries.
 */
struct root {
	const struct acpi_header *table;
	u32 entry_size, count;
};

static struct root root_of(const struct acpi_rsdp *rsdp)
{
	bool wide = rsdp->revision >= 2 && rsdp->xsdt;
	struct root r = {.table = (const void *)(uintptr_t)(wide ? rsdp->xsdt : rsdp->rsdt),
			 .entry_size = wide ? 8 : 4};

	if (r.table && r.table->length >= sizeof(*r.table))
		r.count = (u32)(r.table->length - sizeof(*r.table)) / r.entry_size;
	return r;
}

static const struct acpi_header *root_entry(const struct root *r, u32 i)
{
	return (const void *)(uintptr_t)read_le((const u8 *)(r->table + 1) + i * r->entry_size,
						r->entry_size);
}

static bool has_signature(const struct acpi_header *t, const char *signature)
{
	return !memcmp(t->signature, signature, 4);
}

const struct acpi_header *acpi_find(const struct acpi_rsdp *rsdp, const char *signature)
{
	struct root r = root_of(rsdp);

	for (u32 i = 0; i < r.count; i++) {
		const struct acpi_header *t = root_entry(&r, i);
		if (t && has_signature(t, signature))
			return t;
	}
	return NULL;
}

/* The entry of the MADT at offset *at, which moves behind it; NULL at the end. */
static const u8 *next_entry(const struct acpi_header *madt, u32 *at)
{
	const u8 *entry = (const u8 *)madt + *at;

	if (*at + 2 > madt->length || entry[1] < 2 || *at + entry[1] > madt->length)
		return NULL;
	*at += entry[1];
	return entry;
}

/* The next CPU entry of the MADT behind offset *at, which moves; NULL at the end. */
static const u8 *next_cpu(const struct acpi_header *madt, u32 *at, const struct madt_cpu **kind)
{
	const u8 *entry;

	while ((entry = next_entry(madt, at)))
		for (u32 i = 0; i < ARRAY_SIZE(madt_cpus); i++) {
			*kind = &madt_cpus[i];
			if (entry[0] == (*kind)->type && entry[1] >= (*kind)->length)
				return entry;
		}
	return NULL;
}

int acpi_cpus(const struct acpi_rsdp *rsdp, u64 *hwid, u32 max)
{
	const struct acpi_header *madt = acpi_find(rsdp, "APIC");
	const struct madt_cpu *kind;
	const u8 *entry;
	u32 at = MADT_ENTRIES, count = 0;

	while (madt && (entry = next_cpu(madt, &at, &kind))) {
		u64 id = read_le(entry + kind->id, kind->id_size);
		if (!(read_le(entry + kind->flags, 4) & MADT_ENABLED))
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

static void disable_cpu(struct acpi_header *madt, u64 hwid)
{
	const struct madt_cpu *kind;
	const u8 *entry;
	u32 at = MADT_ENTRIES;

	while ((entry = next_cpu(madt, &at, &kind)))
		if (read_le(entry + kind->id, kind->id_size) == hwid)
			((u8 *)madt)[entry - (u8 *)madt + kind->flags] &= (u8)~kind->enable;
	acpi_seal(madt);
}

pa_t acpi_ecam(const struct acpi_rsdp *rsdp, u32 *end_bus)
{
	const struct acpi_header *mcfg = acpi_find(rsdp, "MCFG");

	*end_bus = 0;
	for (u32 at = MCFG_ENTRIES; mcfg && at + MCFG_ENTRY_SIZE <= mcfg->length;
	     at += MCFG_ENTRY_SIZE) {
		const u8 *entry = (const u8 *)mcfg + at;
		if (read_le(entry + 8, 2) == 0 && entry[10] == 0) {
			*end_bus = entry[11];
			return PA(read_le(entry, 8));
		}
	}
	return PA(0);
}

/* Each CPU has its own in GICC where there are no ranges. */
static bool add_gicc(const struct acpi_header *madt, u64 hwid, struct boot_ranges *r)
{
	const struct madt_cpu *kind;
	const u8 *entry;
	u32 at = MADT_ENTRIES;

	while ((entry = next_cpu(madt, &at, &kind)))
		if (kind->type == MADT_GICC && read_le(entry + kind->id, 8) == hwid &&
		    read_le(entry + GICC_GICR, 8))
			return ranges_add(r, read_le(entry + GICC_GICR, 8), GICR_SIZE);
	return true;
}

bool acpi_redistributors(const struct acpi_rsdp *rsdp, u64 hwid, struct boot_ranges *r)
{
	const struct acpi_header *madt = acpi_find(rsdp, "APIC");
	const u8 *entry;
	bool fits = true;

	for (u32 at = MADT_ENTRIES; madt && (entry = next_entry(madt, &at));)
		if (entry[0] == MADT_GICR && entry[1] >= 16)
			fits &= ranges_add(r, read_le(entry + 4, 8), read_le(entry + 12, 4));
	if (madt && !r->count)
		fits = add_gicc(madt, hwid, r);
	return fits;
}

enum boot_psci acpi_psci(const struct acpi_rsdp *rsdp)
{
	const struct acpi_header *fadt = acpi_find(rsdp, "FACP");
	u64 flags = 0;

	if (fadt && fadt->length >= FADT_ARM_BOOT + 2)
		flags = read_le((const u8 *)fadt + FADT_ARM_BOOT, 2);
	return !(flags & 1) ? BOOT_PSCI_NONE : flags & 2 ? BOOT_PSCI_HVC : BOOT_PSCI_SMC;
}

bool acpi_has_smmu(const struct acpi_rsdp *rsdp)
{
	const struct acpi_header *iort = acpi_find(rsdp, "IORT");
	const u8 *p = (const u8 *)iort;
	u64 count = iort && iort->length >= IORT_NODES + 8 ? read_le(p + IORT_NODES, 4) : 0;
	u64 at = count ? read_le(p + IORT_NODES + 4, 4) : 0;

	for (; count && at + 3 <= iort->length; count--, at += MAX(read_le(p + at + 1, 2), 3ull))
		if (p[at] == IORT_SMMU || p[at] == IORT_SMMU + 1)
			return true;
	return false;
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
	const struct madt_cpu *kind;
	const u8 *entry;
	u32 at = MADT_ENTRIES, hit;

	while ((entry = next_cpu(madt, &at, &kind))) {
		u8 pattern[2 + UINT8_MAX] = {0x0a, entry[1]};
		if (read_le(entry + kind->id, kind->id_size) != hwid)
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
		n[i] = read_le(at + 6 + i * size, size);
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

/* A guest that turns an IOMMU on would cut off the monitor's NIC. */
static bool is_hidden(const struct acpi_header *t)
{
	return has_signature(t, "DMAR") || has_signature(t, "IVRS");
}

static bool is_changed(const struct acpi_header *t)
{
	return has_signature(t, "APIC") || has_signature(t, "FACP") || has_signature(t, "SSDT");
}

static const struct acpi_header *dsdt_of(const struct acpi_header *fadt)
{
	const u8 *p = (const u8 *)fadt;
	u64 dsdt = 0;

	if (fadt->length >= FADT_X_DSDT + 8)
		dsdt = read_le(p + FADT_X_DSDT, 8);
	if (!dsdt && fadt->length >= FADT_DSDT + 4)
		dsdt = read_le(p + FADT_DSDT, 4);
	return (const void *)(uintptr_t)dsdt;
}

static void set_dsdt(struct acpi_header *fadt, const struct acpi_header *dsdt)
{
	u64 wide = (uintptr_t)dsdt;
	u32 narrow = wide >> 32 ? 0 : (u32)wide;

	memcpy((u8 *)fadt + FADT_DSDT, &narrow, 4);
	if (fadt->length >= FADT_X_DSDT + 8)
		memcpy((u8 *)fadt + FADT_X_DSDT, &wide, 8);
	acpi_seal(fadt);
}

size_t acpi_build_size(const struct acpi_rsdp *rsdp)
{
	struct root r = root_of(rsdp);
	size_t size = sizeof(struct acpi_rsdp) + sizeof(struct acpi_suture) +
		      sizeof(struct acpi_header) + (r.count + 1) * 8 + 3 * TABLE_ALIGN;

	for (u32 i = 0; i < r.count; i++) {
		const struct acpi_header *t = root_entry(&r, i);
		if (!t || !is_changed(t))
			continue;
		size += t->length + TABLE_ALIGN;
		if (has_signature(t, "FACP") && dsdt_of(t))
			size += dsdt_of(t)->length + TABLE_ALIGN;
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

	if (has_signature(t, "APIC")) {
		disable_cpu(copy, edit->service_hwid);
	} else if (has_signature(t, "SSDT")) {
		edit_aml(copy, madt, edit);
	} else if (dsdt_of(t)) {
		struct acpi_header *dsdt = copy_table(next, dsdt_of(t));
		edit_aml(dsdt, madt, edit);
		set_dsdt(copy, dsdt);
	}
	return copy;
}

void acpi_build(const struct acpi_rsdp *rsdp, const struct acpi_edit *edit, void *buf,
		struct acpi_suture **suture)
{
	struct root r = root_of(rsdp);
	u8 *next = buf;
	struct acpi_rsdp *root = take_bytes(&next, sizeof(*root));
	struct acpi_header *xsdt = take_bytes(&next, sizeof(*xsdt) + (r.count + 1) * 8);
	struct acpi_suture *own = take_bytes(&next, sizeof(*own));
	u64 entry = (uintptr_t)own;
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
	memcpy(slot, &entry, 8);
	slot += 8;

	for (u32 i = 0; i < r.count; i++) {
		const struct acpi_header *t = root_entry(&r, i);
		if (!t || is_hidden(t))
			continue;
		entry = (uintptr_t)(is_changed(t) ? changed_copy(&next, t, madt, edit) : t);
		memcpy(slot, &entry, 8);
		slot += 8;
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
	root->checksum = (u8)-byte_sum(root, RSDP_V1_SIZE);
	root->checksum_all = (u8)-byte_sum(root, sizeof(*root));
	*suture = own;
}
