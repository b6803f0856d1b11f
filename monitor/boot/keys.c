/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The monitor's keys, in a UEFI variable that only boot services reach (UEFI 2.10, 8.2). The file
 * on the ESP, which is the guest's disk, is taken once and removed.
 */
#include <efi.h>

#include "boot/efi.h"
#include "lib/string.h"

#define KEYS_PATH "\\EFI\\suture\\keys.pem"

static EFI_GUID suture_guid = {
	0x6f2b8f0d, 0x7d0a, 0x4c5e, {0x9b, 0x31, 0x0c, 0x5a, 0x8e, 0x27, 0xd4, 0x11}};
static CHAR16 variable[] = {'S', 'u', 't', 'u', 'r', 'e', 'K', 'e', 'y', 's', 0};

static EFI_STATUS read_variable(struct boot *b, void *data, UINTN *size)
{
	UINT32 attributes;

	return b->st->RuntimeServices->GetVariable(variable, &suture_guid, &attributes, size, data);
}

/* True if the keys are in b->info now. */
static bool fetch_variable(struct boot *b)
{
	UINTN size = sizeof(b->info->keys);
	EFI_STATUS status = read_variable(b, b->info->keys, &size);

	if (status && status != EFI_NOT_FOUND)
		say(b, "the variable with the keys: %s", efi_error(status));
	b->info->keys_size = status ? 0 : (u32)size;
	return status != EFI_NOT_FOUND;
}

static EFI_STATUS store_variable(struct boot *b, void *data, UINTN size)
{
	return b->st->RuntimeServices->SetVariable(
		variable, &suture_guid, EFI_VARIABLE_NON_VOLATILE | EFI_VARIABLE_BOOTSERVICE_ACCESS,
		size, data);
}

static void import_file(struct boot *b)
{
	EFI_STATUS status;
	void *text;
	size_t size;

	if (file_read(b, KEYS_PATH, sizeof(b->info->keys), &text, &size))
		return;
	status = size ? store_variable(b, text, size) : EFI_INVALID_PARAMETER;
	memset(text, 0, size);
	b->bs->FreePool(text);
	if (status) {
		say(b, "%s: cannot be kept in a variable (%s): not used", KEYS_PATH,
		    efi_error(status));
		return;
	}
	if (!file_wipe(b, KEYS_PATH))
		say(b, "%s: taken into the firmware's variables, and removed", KEYS_PATH);
	fetch_variable(b);
}

void keys_fetch(struct boot *b)
{
	bool there = file_exists(b, KEYS_PATH);

	if (!fetch_variable(b)) {
		if (there)
			import_file(b);
	} else if (there) {
		say(b,
		    "%s: not taken, since this machine has keys: remove the variable SutureKeys in "
		    "the firmware's shell first",
		    KEYS_PATH);
	}
}
