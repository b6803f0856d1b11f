/* SPDX-License-Identifier: BSD-2-Clause */
#include "ctl.h"
#include "payload.h"

#include <archive.h>
#include <archive_entry.h>
#include <gelf.h>
#include <libelf.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define KERNEL_MAX (512u << 20)

/* Offsets in the x86 setup header: Documentation/arch/x86/boot.rst in the kernel. */
#define SETUP_SECTS    0x1f1
#define SETUP_MAGIC    0x202
#define PAYLOAD_OFFSET 0x248
#define PAYLOAD_LENGTH 0x24c

static uint32_t le32(const unsigned char *p)
{
	return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
}

static int note_build_id(Elf_Data *d, unsigned char id[32])
{
	size_t offset = 0, next, name, desc;
	GElf_Nhdr nh;

	while (d && (next = gelf_getnote(d, offset, &nh, &name, &desc)) != 0) {
		if (nh.n_type == NT_GNU_BUILD_ID && nh.n_namesz == 4 &&
		    !memcmp((char *)d->d_buf + name, "GNU", 4) && nh.n_descsz <= 32) {
			memcpy(id, (char *)d->d_buf + desc, nh.n_descsz);
			return (int)nh.n_descsz;
		}
		offset = next;
	}
	return -1;
}

static int elf_build_id(void *data, size_t size, unsigned char id[32])
{
	int len = -1;
	size_t n = 0;
	Elf *elf;

	elf_version(EV_CURRENT);
	elf = elf_memory(data, size);
	if (elf && !elf_getphdrnum(elf, &n)) {
		for (size_t i = 0; i < n && len < 0; i++) {
			GElf_Phdr ph;

			if (gelf_getphdr(elf, (int)i, &ph) && ph.p_type == PT_NOTE)
				len = note_build_id(elf_getdata_rawchunk(elf, (int64_t)ph.p_offset,
									 ph.p_filesz, ELF_T_NHDR),
						    id);
		}
	}
	elf_end(elf);
	return len;
}

/*
 * Decompress with whatever filter fits. An error at the end is not one: the kernel's build puts the
 * size behind the stream. NULL when nothing came out.
 */
static void *decompress(const void *data, size_t size, size_t *out_size)
{
	struct archive *a = archive_read_new();
	struct archive_entry *entry;
	char *out = NULL;
	size_t have = 0, room = 1u << 20;
	la_ssize_t n = 0;

	if (!a)
		return NULL;
	archive_read_support_filter_all(a);
	archive_read_support_format_raw(a);
	if (archive_read_open_memory(a, data, size) || archive_read_next_header(a, &entry))
		goto end;
	do {
		char *more;

		have += (size_t)n;
		if (have == room || !out) {
			room *= 2;
			more = room <= KERNEL_MAX ? realloc(out, room) : NULL;
			if (!more)
				break;
			out = more;
		}
		n = archive_read_data(a, out + have, room - have);
	} while (n > 0);
	*out_size = have;
end:
	archive_read_free(a);
	return out;
}

int kernel_build_id(const char *path, unsigned char id[32])
{
	size_t size, start, length, out_size = 0;
	unsigned char *data = read_file(path, KERNEL_MAX, &size);
	void *kernel = NULL;
	int len = -1;

	if (!data)
		return -1;
	if (size > 4 && !memcmp(data, "\177ELF", 4)) {
		len = elf_build_id(data, size, id);
	} else if (size > 0x250 && !memcmp(data + SETUP_MAGIC, "HdrS", 4)) {
		start = ((data[SETUP_SECTS] ? data[SETUP_SECTS] : 4u) + 1u) * 512u +
			le32(data + PAYLOAD_OFFSET);
		length = le32(data + PAYLOAD_LENGTH);
		if (start < size && length <= size - start)
			kernel = decompress(data + start, length, &out_size);
		if (kernel)
			len = elf_build_id(kernel, out_size, id);
	}
	if (len < 0)
		fail(EX_BAD_USAGE,
		     "%s: no build-id found: not a vmlinux or bzImage? give --build-id HEX (from "
		     "suture info)",
		     path);
	free(kernel);
	free(data);
	return len;
}
