/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The floors of versions (patch/floor.h), in a UEFI variable that only boot services reach:
 * suture.conf is on the guest's disk, and a line that was removed there lowers nothing.
 */
#include <efi.h>

#include "boot/efi.h"

/* Those of earlier boots. False, after saying so: they are not known. */
static bool fetch_kept(struct boot *b, struct floors *kept)
{
	static struct floor data[FLOORS_MAX];
	UINTN size = sizeof(data);
	EFI_STATUS status = variable_read(b, FLOORS_VARIABLE, data, &size);

	if (status == EFI_NOT_FOUND)
		return true;
	if (!status && !floors_load(kept, data, size))
		return true;
	say(b,
	    "the floors of earlier boots are not known (%s), only those of suture.conf are in "
	    "force: remove the variable SutureFloors in the firmware's shell",
	    status ? efi_error(status) : "the variable has something else");
	return false;
}

/* True if there are more, or higher ones. */
static bool raise_kept(struct boot *b, struct floors *kept)
{
	const struct floors *asked = &b->info->config.floors;
	bool changed = false;
	int r;

	for (u32 i = 0; i < asked->count; i++) {
		r = floors_raise(kept, &asked->list[i]);
		changed |= r > 0;
		if (r < 0)
			say(b,
			    "floor=%s %s: not taken, since this machine has floors for %u patches: "
			    "remove the variable SutureFloors in the firmware's shell",
			    asked->list[i].name, asked->list[i].version, kept->count);
	}
	return changed;
}

void floors_fetch(struct boot *b)
{
	static struct floors kept;
	EFI_STATUS status;

	if (!fetch_kept(b, &kept))
		return;
	if (raise_kept(b, &kept)) {
		status = variable_store(b, FLOORS_VARIABLE, kept.list,
					kept.count * sizeof(*kept.list));
		if (status)
			say(b,
			    "the floors cannot be kept in a variable (%s): this boot alone has "
			    "them",
			    efi_error(status));
	}
	b->info->config.floors = kept;
}
