/* SPDX-License-Identifier: BSD-2-Clause */
#include "patch/text/elf.h"
#include "lib/errno.h"
#include "lib/string.h"

#define SYMTAB 2u

struct header {
	u8 ident[16];
	u16 type, machine;
	u32 version;
	u64 entry, phoff, shoff;
	u32 flags;
	u16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

static const u8 identity[] = {0x7f, 'E', 'L', 'F', 2 /* 64 bits */, 1 /* little-endian */};

static bool is_inside(const struct elf_file *f, u64 offset, u64 size)
{
	return offset <= f->size && size <= f->size - offset;
}

static struct elf_section raw_section(const struct elf_file *f, u32 i)
{
	struct elf_section s;

	memcpy(&s, f->data + f->sections + i * sizeof(s), sizeof(s));
	return s;
}

static int check_sections(struct elf_file *f)
{
	u32 symbols = 0;

	for (u32 i = 0; i < f->nr_sections; i++) {
		struct elf_section s = raw_section(f, i);

		if (i && s.type != ELF_NOBITS && !is_inside(f, s.offset, s.size))
			return -ENOEXEC;
		if (s.type == SYMTAB)
			symbols = i;
		if (s.type == ELF_RELA && s.info >= f->nr_sections)
			return -ENOEXEC;
	}
	if (!symbols)
		return -ENOEXEC;
	f->symbols = raw_section(f, symbols);
	if (!f->symbols.link || f->symbols.link >= f->nr_sections ||
	    f->symbols.size / sizeof(struct elf_symbol) > UINT32_MAX)
		return -ENOEXEC;
	f->nr_symbols = (u32)(f->symbols.size / sizeof(struct elf_symbol));
	f->strings = raw_section(f, f->symbols.link);
	return f->strings.type == ELF_NOBITS || f->names.type == ELF_NOBITS ? -ENOEXEC : 0;
}

int elf_open(struct elf_file *f, const u8 *data, size_t size)
{
	struct header h;

	*f = (struct elf_file){.data = data, .size = size};
	if (size < sizeof(h))
		return -ENOEXEC;
	memcpy(&h, data, sizeof(h));
	if (memcmp(h.ident, identity, sizeof(identity)) != 0 || !h.shnum ||
	    h.shentsize != sizeof(struct elf_section) || !h.shstrndx || h.shstrndx >= h.shnum ||
	    !is_inside(f, h.shoff, (u64)h.shnum * sizeof(struct elf_section)))
		return -ENOEXEC;
	f->sections = h.shoff;
	f->nr_sections = h.shnum;
	f->names = raw_section(f, h.shstrndx);
	return check_sections(f);
}

struct elf_section elf_section(const struct elf_file *f, u32 i)
{
	return raw_section(f, i);
}

struct elf_symbol elf_symbol(const struct elf_file *f, u32 i)
{
	struct elf_symbol s;

	memcpy(&s, f->data + f->symbols.offset + i * sizeof(s), sizeof(s));
	if (s.section == ELF_KLP)
		s.section = ELF_UNDEF;
	if (s.section >= f->nr_sections && s.section != ELF_ABS)
		s.section = ELF_ABS + 1;
	return s;
}

static const char *name_at(const struct elf_file *f, const struct elf_section *strings, u32 at)
{
	const char *name = (const char *)f->data + strings->offset + at;

	return at < strings->size && memchr(name, 0, strings->size - at) ? name : "";
}

const char *elf_section_name(const struct elf_file *f, const struct elf_section *s)
{
	return name_at(f, &f->names, s->name);
}

const char *elf_symbol_name(const struct elf_file *f, const struct elf_symbol *s)
{
	return name_at(f, &f->strings, s->name);
}

u32 elf_count_relocs(const struct elf_section *s)
{
	return (u32)MIN(s->size / sizeof(struct elf_reloc), (u64)UINT32_MAX);
}

struct elf_reloc elf_reloc(const struct elf_file *f, const struct elf_section *s, u32 i)
{
	struct elf_reloc r;

	memcpy(&r, f->data + s->offset + i * sizeof(r), sizeof(r));
	return r;
}
