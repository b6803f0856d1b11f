/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The monitor's keys, in a UEFI variable that only boot services reach (UEFI 2.10, 8.2). The file
 * on the ESP, which is the guest's disk, is taken once and removed. A certificate for the key that
 * is there may come by the ESP at any boot: only who has an authority's key can make one.
 */
#include <efi.h>

#include "boot/efi.h"
#include "lib/format.h"
#include "lib/string.h"
#include "boot/identity.h"

#define KEYS_PATH	 "\\EFI\\suture\\keys.pem"
#define CERTIFICATE_PATH "\\EFI\\suture\\cert.pem"
#define REQUEST_PATH	 "\\EFI\\suture\\request.pem"

/* True if the keys are in b->info now. */
static bool fetch_variable(struct boot *b)
{
	UINTN size = sizeof(b->info->keys);
	EFI_STATUS status = variable_read(b, KEYS_VARIABLE, b->info->keys, &size);

	if (status && status != EFI_NOT_FOUND)
		say(b, "the variable with the keys: %s", efi_error(status));
	b->info->keys_size = status ? 0 : (u32)size;
	return status != EFI_NOT_FOUND;
}

static void import_file(struct boot *b)
{
	EFI_STATUS status;
	void *text;
	size_t size;

	if (file_read(b, KEYS_PATH, sizeof(b->info->keys), &text, &size))
		return;
	status = size ? variable_store(b, KEYS_VARIABLE, text, size) : EFI_INVALID_PARAMETER;
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

/* ---- its own certificate ---- */

static void give_request(struct boot *b, const struct identity *id)
{
	char hash[2 * sizeof(id->key_hash) + 1];

	for (size_t i = 0; i < sizeof(id->key_hash); i++)
		format(hash + 2 * i, 3, "%02x", id->key_hash[i]);
	if (file_write(b, REQUEST_PATH, id->request, strlen(id->request)))
		return;
	say(b, "%s: a request for the monitor's certificate, which goes to %s", REQUEST_PATH,
	    CERTIFICATE_PATH);
	say(b, "SHA-256 of its public key: %s", hash);
}

static void settle_certificate(struct boot *b)
{
	say(b, "%s: taken into the firmware's variables, and removed", CERTIFICATE_PATH);
	file_wipe(b, CERTIFICATE_PATH);
	if (file_exists(b, REQUEST_PATH))
		file_wipe(b, REQUEST_PATH);
}

static void tend_identity(struct boot *b, struct identity *id)
{
	char why[REASON_LEN];
	EFI_STATUS status = EFI_SUCCESS;
	int err = IN_COPY(b, identity_tend)(b->info, id, why, sizeof(why));

	if (!err && (id->key_made || id->certificate_taken))
		status = variable_store(b, KEYS_VARIABLE, b->info->keys, b->info->keys_size);
	if (err)
		say(b, "the monitor's keys: %s", *why ? why : errno_name(err));
	if (status)
		say(b, "the monitor's keys cannot be kept in a variable: %s", efi_error(status));
	if (err || status) {
		fetch_variable(b);
		return;
	}
	if (id->refused[0])
		say(b, "%s: not taken: %s", CERTIFICATE_PATH, id->refused);
	if (id->certificate_taken)
		settle_certificate(b);
	if (id->request[0])
		give_request(b, id);
}

void keys_tend(struct boot *b)
{
	static struct identity id;
	void *text = NULL;
	size_t size;

	if (!b->info->keys_size)
		return;
	if (file_exists(b, CERTIFICATE_PATH) &&
	    !file_read(b, CERTIFICATE_PATH, sizeof(b->info->keys), &text, &size)) {
		((char *)text)[size] = 0;
		id.certificate = text;
		id.certificate_size = size + 1;
	}
	tend_identity(b, &id);
	if (text)
		b->bs->FreePool(text);
}
