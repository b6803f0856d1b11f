/* SPDX-License-Identifier: BSD-2-Clause */
#include <efi.h>

#include "boot/efi.h"
#include "lib/format.h"
#include "lib/string.h"

static void __printf_like(2, 0) print_line(struct boot *b, const char *fmt, va_list ap)
{
	char text[REASON_LEN + 300]; /* a reason, and the path that it is about */
	CHAR16 wide[sizeof(text) + 2];
	u32 len = 0;

	vformat(text, sizeof(text), fmt, ap);
	str_copy(b->said, text, sizeof(b->said));
	while (text[len]) {
		wide[len] = (u8)text[len];
		len++;
	}
	wide[len++] = '\r';
	wide[len++] = '\n';
	wide[len] = 0;
	b->st->ConOut->OutputString(b->st->ConOut, (CHAR16 *)L"suture: ");
	b->st->ConOut->OutputString(b->st->ConOut, wide);
}

void say(struct boot *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	print_line(b, fmt, ap);
	va_end(ap);
}

int fail(struct boot *b, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	print_line(b, fmt, ap);
	va_end(ap);
	return err;
}

const char *efi_error(EFI_STATUS status)
{
	static const struct {
		EFI_STATUS status;
		const char *text;
	} names[] = {
		{EFI_LOAD_ERROR, "not an EFI program, or it does not load"},
		{EFI_INVALID_PARAMETER, "invalid parameter"},
		{EFI_UNSUPPORTED, "unsupported"},
		{EFI_DEVICE_ERROR, "device error"},
		{EFI_OUT_OF_RESOURCES, "out of memory"},
		{EFI_VOLUME_CORRUPTED, "volume corrupted"},
		{EFI_NO_MEDIA, "no medium"},
		{EFI_NOT_FOUND, "not found"},
		{EFI_ACCESS_DENIED, "access denied"},
		{EFI_SECURITY_VIOLATION, "refused by Secure Boot"},
		{EFI_ABORTED, "aborted"},
	};

	for (u32 i = 0; i < ARRAY_SIZE(names); i++)
		if (names[i].status == status)
			return names[i].text;
	return "firmware error";
}
