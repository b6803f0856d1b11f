/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Firmware may map memory that is not allocated for code execute-never: the monitor's copy of the
 * image lies in such memory.
 */
#include <efi.h>

#include "arch/boot.h"
#include "boot/efi.h"

#define MEMORY_RO 0x20000ull /* EFI_MEMORY_RO (UEFI 2.10, 7.2.3), which gnu-efi does not know */

/* UEFI 2.10, 37.7: EFI_MEMORY_ATTRIBUTE_PROTOCOL */
struct memory_attributes {
	void *get, *set;
	EFI_STATUS(EFIAPI *clear)
	(struct memory_attributes *self, EFI_PHYSICAL_ADDRESS base, UINT64 size, UINT64 attributes);
};

/* PI 1.7, volume 2, 12.3: EFI_CPU_ARCH_PROTOCOL, for firmware that is older */
struct cpu_arch {
	void *functions[7];
	EFI_STATUS(EFIAPI *set_attributes)
	(struct cpu_arch *self, EFI_PHYSICAL_ADDRESS base, UINT64 size, UINT64 attributes);
};

static EFI_GUID memory_attributes_guid = {
	0xf4560cf6, 0x40ec, 0x4b4a, {0xa1, 0x92, 0xbf, 0x1d, 0x57, 0xd0, 0xb1, 0x89}};
static EFI_GUID cpu_arch_guid = {
	0x26baccb1, 0x6f42, 0x11d4, {0xbc, 0xe7, 0x00, 0x80, 0xc7, 0x3c, 0x88, 0x81}};

int image_allow_execution(struct boot *b)
{
	UINT64 size = b->info->image_size;
	struct memory_attributes *attributes;
	EFI_STATUS status = EFI_SUCCESS;
	struct cpu_arch *cpu;

	if (!b->bs->LocateProtocol(&memory_attributes_guid, NULL, (void **)&attributes))
		status = attributes->clear(attributes, b->memory, size, EFI_MEMORY_XP | MEMORY_RO);
	else if (ARCH_FIRMWARE_XN && !b->bs->LocateProtocol(&cpu_arch_guid, NULL, (void **)&cpu))
		status = cpu->set_attributes(cpu, b->memory, size, EFI_MEMORY_WB);
	if (status)
		return fail(b, -EACCES, "the firmware does not let the monitor be executed: %s",
			    efi_error(status));
	return 0;
}
