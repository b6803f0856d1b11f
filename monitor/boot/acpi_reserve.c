/* SPDX-License-Identifier: BSD-2-Clause */
/* Sections are those of the ACPI specification 6.5. */
#include "boot/acpi_reserve.h"
#include "lib/string.h"

/*
 * \_SB.SUTN with _HID, _UID and _CRS (20.2.5.1, 20.2.5.2), and the ranges in the buffer of _CRS. A
 * package has its length, which counts from itself on, in two bytes here; the first has the lower
 * four bits (20.2.4).
 */
#define PACKAGE(length)	 (u8)(0x40 | ((length)&0xf)), (u8)((length) >> 4)
#define DWORD(v)	 0x0c, (u8)(v), (u8)((v) >> 8), (u8)((v) >> 16), (u8)((v) >> 24)
#define NAME(a, b, c, d) 0x08, a, b, c, d
#define EISA_PNP0C02	 0x020cd041u
#define UID		 0x52545553u
#define BUFFER_SIZE	 (2 + 5) /* length, DWORD, ... */
#define DEVICE_SIZE                                                                                \
	(2 + 4 + 3 * 5 + 2 * 5 + 1 + BUFFER_SIZE) /* length, name, three names, two DWORDs, op */
#define SCOPE_SIZE (2 + 5 + 2 + DEVICE_SIZE)	  /* length, name, op */
#define AML_SIZE   (1 + SCOPE_SIZE)

/* Address space descriptor (6.4.3.5.1): memory, for this device alone, at a fixed place, writable.
 */
#define QWORD_SIZE 46
#define QWORD_HEAD 0x8a, QWORD_SIZE - 3, 0, 0, 0x0d, 0x01
#define END_TAG	   0x79, 0x00 /* 6.4.2.9: no checksum */
#define END_SIZE   2

#define REVISION 2 /* integers have 64 bits */

static u32 resources_size(const struct boot_ranges *r)
{
	return r->count * QWORD_SIZE + END_SIZE;
}

size_t acpi_reserve_size(const struct boot_ranges *r)
{
	if (!r->count)
		return 0;
	return sizeof(struct acpi_header) + AML_SIZE + resources_size(r);
}

static u8 *put_bytes(u8 *at, const void *bytes, size_t size)
{
	return (u8 *)memcpy(at, bytes, size) + size;
}

static u8 *put_range(u8 *at, const struct boot_range *r)
{
	static const u8 head[] = {QWORD_HEAD};
	const u64 numbers[] = {0, r->base, r->base + r->size - 1, 0, r->size};

	return put_bytes(put_bytes(at, head, sizeof(head)), numbers, sizeof(numbers));
}

void acpi_reserve(const struct boot_ranges *r, struct acpi_header *ssdt)
{
	static const u8 end[] = {END_TAG};
	u32 data = resources_size(r);
	const u8 head[] = {
		0x10, /* ScopeOp */
		PACKAGE(SCOPE_SIZE + data),
		'\\',
		'_',
		'S',
		'B',
		'_',
		0x5b,
		0x82, /* DeviceOp */
		PACKAGE(DEVICE_SIZE + data),
		'S',
		'U',
		'T',
		'N',
		NAME('_', 'H', 'I', 'D'),
		DWORD(EISA_PNP0C02),
		NAME('_', 'U', 'I', 'D'),
		DWORD(UID),
		NAME('_', 'C', 'R', 'S'),
		0x11, /* BufferOp */
		PACKAGE(BUFFER_SIZE + data),
		DWORD(data),
	};
	_Static_assert(sizeof(head) == AML_SIZE, "the packages' lengths");
	u8 *at;

	*ssdt = (struct acpi_header){.length = (u32)acpi_reserve_size(r),
				     .revision = REVISION,
				     .oem_revision = 1,
				     .creator_revision = 1};
	memcpy(ssdt->signature, "SSDT", 4);
	memcpy(ssdt->oem_id, "SUTURE", 6);
	memcpy(ssdt->oem_table_id, "SUTURENI", 8);
	memcpy(ssdt->creator_id, "SUTR", 4);
	at = put_bytes((u8 *)(ssdt + 1), head, sizeof(head));
	for (u32 i = 0; i < r->count; i++)
		at = put_range(at, &r->range[i]);
	put_bytes(at, end, sizeof(end));
	acpi_seal(ssdt);
}
