/* SPDX-License-Identifier: BSD-2-Clause */
#include <efi.h>

#include "boot/efi.h"

static void replace_service(struct boot *b, EFI_EXIT_BOOT_SERVICES function)
{
	EFI_TABLE_HEADER *header = &b->bs->Hdr;
	UINT32 crc;

	b->bs->ExitBootServices = function;
	header->CRC32 = 0;
	b->bs->CalculateCrc32(header, header->HeaderSize, &crc);
	header->CRC32 = crc;
}

void hook_install(struct boot *b, EFI_EXIT_BOOT_SERVICES hook)
{
	b->exit_boot_services = b->bs->ExitBootServices;
	replace_service(b, hook);
}

void hook_remove(struct boot *b)
{
	if (b->exit_boot_services)
		replace_service(b, b->exit_boot_services);
	b->exit_boot_services = NULL;
}
