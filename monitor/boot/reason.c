/* SPDX-License-Identifier: BSD-2-Clause */
/* Why the machine boots without the monitor, in a variable that the operating system can read. */
#include <efi.h>

#include "boot/efi.h"
#include "lib/string.h"

/* packaging/suture-install has the same one */
static EFI_GUID suture_guid = {
	0x7d1f2a54, 0x9c3e, 0x4b6f, {0x8a, 0x10, 0x5e, 0x2c, 0x94, 0xd0, 0x7b, 0x31}};
#define REASON_NAME ((CHAR16 *)L"SutureReason")
#define REASON_ATTRIBUTES                                                                          \
	(EFI_VARIABLE_NON_VOLATILE | EFI_VARIABLE_BOOTSERVICE_ACCESS | EFI_VARIABLE_RUNTIME_ACCESS)

/* Flash wears: it is not written when it has that text already. */
static bool is_known(struct boot *b, UINTN len)
{
	char known[sizeof(b->said)];
	UINTN size = sizeof(known);
	UINT32 attributes;

	return !b->st->RuntimeServices->GetVariable(REASON_NAME, &suture_guid, &attributes, &size,
						    known) &&
	       size == len && !memcmp(known, b->said, len);
}

void reason_keep(struct boot *b)
{
	UINTN len = strlen(b->said);

	if (!is_known(b, len))
		b->st->RuntimeServices->SetVariable(REASON_NAME, &suture_guid, REASON_ATTRIBUTES,
						    len, b->said);
}

void reason_forget(struct boot *b)
{
	b->st->RuntimeServices->SetVariable(REASON_NAME, &suture_guid, 0, 0, NULL);
}
