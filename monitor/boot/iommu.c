/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/iommu.h"

#define FIRST 48u /* of the structures in both tables */
#define BASE  8u  /* in each that describes an IOMMU */

/* Intel: DRHD (8.3), and GSTS_REG.TES (Global Status Register) */
#define DRHD	   0u
#define INTEL_GSTS 0x1cu
#define INTEL_TES  (1u << 31)

/* AMD: IVHD blocks (5.2.2.1), and IommuEn of the control register (3.4, MMIO offset 0018h) */
#define IVHD_10	    0x10u
#define IVHD_11	    0x11u
#define IVHD_40	    0x40u
#define AMD_CONTROL 0x18u
#define AMD_ENABLED (1u << 0)

static u32 length_of(const u8 *s)
{
	return (u32)acpi_le(s + 2, 2);
}

static bool is_on(const u8 *s, bool intel, u32 (*read)(u64 address))
{
	u64 base = acpi_le(s + BASE, 8);

	if (intel)
		return acpi_le(s, 2) == DRHD && (read(base + INTEL_GSTS) & INTEL_TES);
	return (s[0] == IVHD_10 || s[0] == IVHD_11 || s[0] == IVHD_40) &&
	       (read(base + AMD_CONTROL) & AMD_ENABLED);
}

u64 iommu_enabled(const struct acpi_header *table, u32 (*read)(u64 address))
{
	const u8 *bytes = (const u8 *)table, *s;

	for (u32 at = FIRST; table && at + BASE + 8 <= table->length; at += length_of(s)) {
		s = bytes + at;
		if (length_of(s) < 4)
			break;
		if (length_of(s) >= BASE + 8 && is_on(s, acpi_is(table, "DMAR"), read))
			return acpi_le(s + BASE, 8);
	}
	return 0;
}
