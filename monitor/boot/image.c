/* SPDX-License-Identifier: BSD-2-Clause */
#include <efi.h>
#include <elf.h>

#include "arch/boot.h"
#include "arch/publish.h"
#include "boot/efi.h"
#include "lib/string.h"

/* From the linker script: both at their place in the visible image. */
extern const char ImageBase[];
extern const Elf64_Dyn _DYNAMIC[];

int image_copy(struct boot *b)
{
	char *copy = (char *)b->memory;
	u64 size = b->loaded->ImageSize;
	u64 table = 0, table_size = 0;

	if (b->loaded->ImageBase != ImageBase)
		return fail(b, -ENOEXEC, "suture.efi: loaded at %p, but runs at %p",
			    b->loaded->ImageBase, (const void *)ImageBase);
	if (b->info->image_size >= b->info->memory_size)
		return fail(b, -ENOMEM, "the monitor alone needs %llu KiB: raise memory=",
			    b->info->image_size >> 10);

	for (const Elf64_Dyn *d = _DYNAMIC; d->d_tag != DT_NULL; d++) {
		if (d->d_tag == DT_RELA)
			table = d->d_un.d_ptr;
		if (d->d_tag == DT_RELASZ)
			table_size = d->d_un.d_val;
	}
	if (table > size || table_size > size - table)
		return fail(b, -ENOEXEC, "suture.efi: relocation table outside of the image");

	/*
	 * Nothing that the core owns has been written in the visible image, for the core has not
	 * run there. All that must change are the words that the loader relocated, and they are
	 * written anew from the table, whatever they hold now.
	 */
	memcpy(copy, ImageBase, size);
	for (const Elf64_Rela *r = (const void *)(ImageBase + table); table_size >= sizeof(*r);
	     r++, table_size -= sizeof(*r)) {
		u64 value = b->memory + (u64)r->r_addend;
		if (ELF64_R_TYPE(r->r_info) != ARCH_ELF_RELATIVE || r->r_offset > size - 8)
			return fail(b, -ENOEXEC, "suture.efi: relocation type %u at 0x%lx",
				    (u32)ELF64_R_TYPE(r->r_info), r->r_offset);
		memcpy(copy + r->r_offset, &value, sizeof(value));
	}
	arch_publish_code(copy, size);
	return image_allow_execution(b);
}

void *image_in_copy(const struct boot *b, const void *function)
{
	return (char *)b->memory + ((const char *)function - ImageBase);
}
