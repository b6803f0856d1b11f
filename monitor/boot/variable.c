/* SPDX-License-Identifier: BSD-2-Clause */
#include <efi.h>

#include "boot/efi.h"

static EFI_GUID suture_guid = {
	0x6f2b8f0d, 0x7d0a, 0x4c5e, {0x9b, 0x31, 0x0c, 0x5a, 0x8e, 0x27, 0xd4, 0x11}};

EFI_STATUS variable_read(struct boot *b, CHAR16 *name, void *data, UINTN *size)
{
	UINT32 attributes;

	return b->st->RuntimeServices->GetVariable(name, &suture_guid, &attributes, size, data);
}

EFI_STATUS variable_store(struct boot *b, CHAR16 *name, void *data, UINTN size)
{
	return b->st->RuntimeServices->SetVariable(
		name, &suture_guid, EFI_VARIABLE_NON_VOLATILE | EFI_VARIABLE_BOOTSERVICE_ACCESS,
		size, data);
}
