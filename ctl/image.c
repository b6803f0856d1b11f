/* SPDX-License-Identifier: BSD-2-Clause */
#include "image.h"
#include "ctl.h"
#include "unpack.h"

#include <gelf.h>
#include <stdlib.h>
#include <string.h>

/* Documentation/arch/arm64/booting.rst: the header of an Image. */
#define IMAGE_BRANCH 4 /* of the two instructions that it begins with, the second */
#define IMAGE_MAGIC  56
#define IMAGE_END    64

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

static bool is_vmlinux(const unsigned char *data, size_t size)
{
	return size >= 4 && !memcmp(data, "\177ELF", 4);
}

static bool is_arm64_image(const unsigned char *data, size_t size)
{
	return size >= IMAGE_END && !memcmp(data + IMAGE_MAGIC, "ARM\x64", 4);
}

/* What was packed into the file, malloced; NULL: nothing that is known. */
static void *unpack_file(const unsigned char *data, size_t size, size_t *out_size)
{
	void *out = unpack_bzimage(data, size, out_size);

	if (!out && size > 8 && data[0] == 0x1f && data[1] == 0x8b)
		out = unpack_payload(data, size, out_size);
	return out;
}

static bool open_elf(struct image *i)
{
	GElf_Ehdr eh;

	elf_version(EV_CURRENT);
	i->elf = elf_memory(i->data, i->size);
	if (!i->elf || elf_kind(i->elf) != ELF_K_ELF || !gelf_getehdr(i->elf, &eh))
		return false;
	i->machine = eh.e_machine;
	return true;
}

static bool open_data(struct image *i)
{
	if (!i->data)
		return false;
	if (!is_arm64_image(i->data, i->size))
		return open_elf(i);
	i->machine = EM_AARCH64;
	return true;
}

int image_open(struct image *i, const char *path)
{
	void *inner;
	size_t size;

	*i = (struct image){.path = path};
	i->data = read_file(path, UNPACK_MAX, &i->size);
	if (!i->data)
		return -1;
	if (!is_vmlinux(i->data, i->size) && !is_arm64_image(i->data, i->size)) {
		inner = unpack_file(i->data, i->size, &size);
		free(i->data);
		i->data = inner;
		i->size = inner ? size : 0;
	}
	if (open_data(i))
		return 0;
	fail(EX_BAD_USAGE,
	     "%s: not a vmlinux, bzImage or arm64 Image, or damaged; without it give --build-id "
	     "HEX (from suture info)",
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

/*
 * The end of an ELF file that begins at that page of an Image: of a vDSO, which has notes of its
 * own. 0: none begins there.
 */
static size_t inner_elf_end(const struct image *i, size_t page)
{
	const unsigned char *data = (const unsigned char *)i->data + page;
	Elf64_Ehdr eh;

	if (i->size - page < sizeof(eh) || !is_vmlinux(data, i->size - page))
		return 0;
	memcpy(&eh, data, sizeof(eh));
	if (eh.e_ident[EI_CLASS] == ELFCLASS32)
		eh.e_shoff = le32(data + offsetof(Elf32_Ehdr, e_shoff));
	return eh.e_shoff < i->size - page ? page + eh.e_shoff : 0;
}

/* A note with a build-id at `at`. Returns its length, or -1. */
static int raw_note(const struct image *i, size_t at, unsigned char id[32])
{
	const unsigned char *p = (const unsigned char *)i->data + at;
	size_t len;

	if (i->size - at < 16 || le32(p) != 4 || le32(p + 8) != NT_GNU_BUILD_ID ||
	    memcmp(p + 12, "GNU", 4) != 0)
		return -1;
	len = le32(p + 4);
	if (len < 8 || len > 32 || len > i->size - at - 16)
		return -1;
	memcpy(id, p + 16, len);
	return (int)len;
}

/* The only one in the Image outside of the vDSOs; -1: there is none, or several. */
static int raw_build_id(const struct image *i, unsigned char id[32])
{
	unsigned char other[32];
	size_t skip = 0;
	int len = -1, n;

	for (size_t at = 0; at < i->size; at += 4) {
		if (at % 4096 == 0 && at >= skip && at)
			skip = inner_elf_end(i, at);
		n = at < skip ? -1 : raw_note(i, at, len < 0 ? id : other);
		if (n >= 0 && len >= 0)
			return -1;
		len = n >= 0 ? n : len;
	}
	return len;
}

static int elf_build_id(const struct image *i, unsigned char id[32])
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
	return len;
}

int image_build_id(const struct image *i, unsigned char id[32])
{
	int len = i->elf ? elf_build_id(i, id) : raw_build_id(i, id);

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

/* Documentation/bpf/btf.rst: a header of 24 bytes, then types, then strings. */
#define BTF_HEADER 24

static struct extent raw_btf(const struct image *i)
{
	static const unsigned char start[8] = {0x9f, 0xeb, 1, 0, BTF_HEADER};
	const unsigned char *data = i->data, *p = data;
	struct extent none = {0};

	while ((p = memmem(p, i->size - (size_t)(p - data), start, sizeof(start))) != NULL) {
		size_t left = i->size - (size_t)(p - data);
		uint64_t types, size;

		if (left < BTF_HEADER)
			break;
		types = le32(p + 12);
		size = BTF_HEADER + types + le32(p + 20);
		/* the types begin at once, the strings behind them; the kernel has many of both */
		if (!le32(p + 8) && le32(p + 16) == types && types > 65536 && size <= left)
			return extent(i, (uint64_t)(p - data), size, (uint64_t)(p - data));
		p++;
	}
	return none;
}

/* Linux's linker script puts them behind; where they end is not known. */
#define BTF_IDS_MAX 65536u

static struct extent raw_btf_ids(const struct image *i)
{
	struct extent btf = raw_btf(i);
	uint64_t at = (btf.address + btf.size + 3) & ~3ull;

	return extent(i, at, btf.size && i->size - at > BTF_IDS_MAX ? BTF_IDS_MAX : 0, at);
}

static struct extent raw_section(const struct image *i, const char *name)
{
	struct extent none = {0};

	if (!strcmp(name, ".BTF"))
		return raw_btf(i);
	if (!strcmp(name, ".BTF_ids"))
		return raw_btf_ids(i);
	if (!strcmp(name, ".rodata") || !strcmp(name, ".text"))
		return extent(i, 0, i->size, 0);
	return none;
}

uint64_t image_entry(const struct image *i)
{
	uint32_t insn;

	if (i->elf || !i->data)
		return 0;
	insn = le32((const unsigned char *)i->data + IMAGE_BRANCH);
	if (insn >> 26 != 5) /* B */
		return 0;
	return IMAGE_BRANCH + (uint64_t)(insn & 0x3ffffff) * 4;
}

struct extent image_section(const struct image *i, const char *name)
{
	struct extent none = {0};
	size_t strings = 0;
	Elf_Scn *scn = NULL;
	const char *n;
	GElf_Shdr sh;

	if (!i->elf)
		return raw_section(i, name);
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

	if (!i->elf)
		return address < i->size
			       ? extent(i, address,
					i->size - address < max ? i->size - address : max, address)
			       : none;
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
