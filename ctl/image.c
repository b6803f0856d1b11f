/* SPDX-License-Identifier: BSD-2-Clause */
#include "image.h"
#include "ctl.h"
#include "unpack.h"

#include <gelf.h>
#include <stdlib.h>
#include <string.h>

/* Offsets in the x86 setup header: Documentation/arch/x86/boot.rst in the kernel. */
#define SETUP_SECTS    0x1f1
#define SETUP_MAGIC    0x202
#define PAYLOAD_OFFSET 0x248
#define PAYLOAD_LENGTH 0x24c
#define SETUP_END      0x250

static uint32_t le32(const unsigned char *p)
{
	return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
}

/* ---- from the file to the vmlinux ---- */

/*
 * The last four bytes of the payload are the vmlinux's size. gzip has them in its format; to other
 * formats the kernel's build appends them, and a decompressor must not see them: libarchive takes
 * them for damage and drops up to 128 KiB that it has decompressed.
 */
static void *unpack_payload(const unsigned char *payload, size_t length, size_t *size)
{
	bool gzip = payload[0] == 0x1f && payload[1] == 0x8b;
	size_t expected = le32(payload + length - 4);

	return expected ? unpack(payload, gzip ? length : length - 4, expected, size) : NULL;
}

static void *unpack_bzimage(const unsigned char *data, size_t size, size_t *out_size)
{
	size_t start, length;

	if (size < SETUP_END || memcmp(data + SETUP_MAGIC, "HdrS", 4) != 0)
		return NULL;
	start = ((data[SETUP_SECTS] ? data[SETUP_SECTS] : 4u) + 1u) * 512u +
		le32(data + PAYLOAD_OFFSET);
	length = le32(data + PAYLOAD_LENGTH);
	if (start >= size || length > size - start || length < 8)
		return NULL;
	return unpack_payload(data + start, length, out_size);
}

int image_open(struct image *i, const char *path)
{
	void *vmlinux;
	size_t size;

	*i = (struct image){.path = path};
	i->data = read_file(path, UNPACK_MAX, &i->size);
	if (!i->data)
		return -1;
	if (i->size < 4 || memcmp(i->data, "\177ELF", 4) != 0) {
		vmlinux = unpack_bzimage(i->data, i->size, &size);
		free(i->data);
		i->data = vmlinux;
		i->size = vmlinux ? size : 0;
	}
	elf_version(EV_CURRENT);
	i->elf = i->data ? elf_memory(i->data, i->size) : NULL;
	if (i->elf && elf_kind(i->elf) == ELF_K_ELF)
		return 0;
	fail(EX_BAD_USAGE,
	     "%s: not a vmlinux or bzImage, or damaged; without it give --build-id HEX (from "
	     "suture info)",
	     path);
	return -1;
}

void image_close(struct image *i)
{
	elf_end(i->elf);
	free(i->data);
	*i = (struct image){0};
}

/* ---- its build-id ---- */

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

int image_build_id(const struct image *i, unsigned char id[32])
{
	int len = -1;
	size_t n = 0;
	GElf_Phdr ph;

	elf_getphdrnum(i->elf, &n);
	for (size_t p = 0; p < n && len < 0; p++)
		if (gelf_getphdr(i->elf, (int)p, &ph) && ph.p_type == PT_NOTE)
			len = note_build_id(elf_getdata_rawchunk(i->elf, (int64_t)ph.p_offset,
								 ph.p_filesz, ELF_T_NHDR),
					    id);
	if (len < 0)
		fail(EX_BAD_USAGE,
		     "%s: no build-id found in it: give --build-id HEX (from suture info)",
		     i->path);
	return len;
}

/* ---- its parts ---- */

static struct extent extent(const struct image *i, uint64_t offset, uint64_t size, uint64_t address)
{
	struct extent none = {0};

	if (offset > i->size || size > i->size - offset)
		return none;
	return (struct extent){(const unsigned char *)i->data + offset, size, address};
}

struct extent image_section(const struct image *i, const char *name)
{
	struct extent none = {0};
	size_t strings = 0;
	Elf_Scn *scn = NULL;
	const char *n;
	GElf_Shdr sh;

	if (elf_getshdrstrndx(i->elf, &strings))
		return none;
	while ((scn = elf_nextscn(i->elf, scn)) != NULL) {
		if (!gelf_getshdr(scn, &sh) || sh.sh_type == SHT_NOBITS)
			continue;
		n = elf_strptr(i->elf, strings, sh.sh_name);
		if (n && !strcmp(n, name))
			return extent(i, sh.sh_offset, sh.sh_size, sh.sh_addr);
	}
	return none;
}

struct extent image_bytes(const struct image *i, uint64_t address, size_t max)
{
	struct extent none = {0};
	size_t n = 0;
	GElf_Phdr ph;

	elf_getphdrnum(i->elf, &n);
	for (size_t p = 0; p < n; p++) {
		uint64_t skip, left;

		if (!gelf_getphdr(i->elf, (int)p, &ph) || ph.p_type != PT_LOAD ||
		    address < ph.p_vaddr || address - ph.p_vaddr >= ph.p_filesz)
			continue;
		skip = address - ph.p_vaddr;
		left = ph.p_filesz - skip;
		return extent(i, ph.p_offset + skip, left < max ? left : max, address);
	}
	return none;
}
