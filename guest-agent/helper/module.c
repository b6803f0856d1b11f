// SPDX-License-Identifier: GPL-2.0-only
/* Just so much of ELF as it takes to find the symbols. The kernel's loader checks all the rest. */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include "helper.h"

struct file {
	unsigned char *bytes;
	size_t size;
};

/* [offset, offset + size) of the file, or NULL if that is not within it, or not aligned. */
static void *part(const struct file *file, Elf64_Off offset, Elf64_Xword size)
{
	if (offset > file->size || size > file->size - offset || offset % 8)
		return NULL;
	return file->bytes + offset;
}

static bool is_module(const Elf64_Ehdr *h)
{
	return !memcmp(h->e_ident, ELFMAG, SELFMAG) && h->e_ident[EI_CLASS] == ELFCLASS64 &&
	       h->e_ident[EI_DATA] == ELFDATA2LSB && h->e_type == ET_REL;
}

static int use_symbols(struct module *m, const struct file *file, const Elf64_Shdr *symbols,
		       const Elf64_Shdr *strings, struct failure *f)
{
	m->symbols = part(file, symbols->sh_offset, symbols->sh_size);
	m->count = symbols->sh_size / sizeof(*m->symbols);
	if (!m->symbols || symbols->sh_entsize != sizeof(*m->symbols))
		return fail(f, -ENOEXEC, "the payload's symbol table is broken");
	m->strings_size = strings->sh_size;
	if (strings->sh_offset > file->size || strings->sh_size > file->size - strings->sh_offset ||
	    !strings->sh_size)
		return fail(f, -ENOEXEC, "the payload's symbol names lie outside of the file");
	m->strings = (const char *)file->bytes + strings->sh_offset;
	if (m->strings[m->strings_size - 1])
		return fail(f, -ENOEXEC, "the payload's symbol names do not end");
	for (size_t i = 0; i < m->count; i++) {
		if (m->symbols[i].st_name >= m->strings_size)
			return fail(f, -ENOEXEC, "the payload's symbol %zu has no name", i);
	}
	return 0;
}

int module_open(struct module *m, void *bytes, size_t size, struct failure *f)
{
	const struct file file = {bytes, size};
	const Elf64_Ehdr *header = part(&file, 0, sizeof(*header));
	const Elf64_Shdr *sections;

	if (!header || !is_module(header))
		return fail(f, -ENOEXEC, "the payload is not a 64-bit kernel module");
	sections = part(&file, header->e_shoff, (Elf64_Xword)header->e_shnum * sizeof(*sections));
	if (!sections || header->e_shentsize != sizeof(*sections))
		return fail(f, -ENOEXEC, "the payload's section table is broken");
	for (size_t i = 0; i < header->e_shnum; i++) {
		if (sections[i].sh_type != SHT_SYMTAB)
			continue;
		if (sections[i].sh_link >= header->e_shnum)
			return fail(f, -ENOEXEC, "the payload's symbols have no names");
		return use_symbols(m, &file, &sections[i], &sections[sections[i].sh_link], f);
	}
	return fail(f, -ENOEXEC, "the payload has no symbol table");
}

const char *module_undefined(const struct module *m, size_t i)
{
	const Elf64_Sym *s = &m->symbols[i];

	return s->st_shndx == SHN_UNDEF && s->st_name ? m->strings + s->st_name : NULL;
}

void module_define(struct module *m, size_t i, unsigned long long address)
{
	m->symbols[i].st_shndx = SHN_ABS;
	m->symbols[i].st_value = address;
}
