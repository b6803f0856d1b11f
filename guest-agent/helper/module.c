// SPDX-License-Identifier: GPL-2.0-only
/* A kernel module's file: its sections, symbols and relocations, with every offset checked. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "helper.h"

#ifndef SHN_LIVEPATCH
#define SHN_LIVEPATCH 0xff20
#endif
#ifndef SHF_RELA_LIVEPATCH
#define SHF_RELA_LIVEPATCH 0x00100000
#endif

struct file {
	unsigned char *bytes;
	size_t size;
	struct failure *failure;
};

/* Is [offset, offset + size) within the file? */
static bool contains(const struct file *file, Elf64_Off offset, Elf64_Xword size)
{
	return offset <= file->size && size <= file->size - offset;
}

static bool has_bytes(const Elf64_Shdr *h)
{
	return h->sh_type != SHT_NOBITS && h->sh_type != SHT_NULL && h->sh_size != 0;
}

static bool is_module(const Elf64_Ehdr *h)
{
	return !memcmp(h->e_ident, ELFMAG, SELFMAG) && h->e_ident[EI_CLASS] == ELFCLASS64 &&
	       h->e_ident[EI_DATA] == ELFDATA2LSB && h->e_type == ET_REL;
}

static int read_header(struct module *m, const struct file *file, Elf64_Ehdr *header)
{
	if (!contains(file, 0, sizeof(*header)) || (uintptr_t)file->bytes % 8)
		return fail(file->failure, -ENOEXEC, "the payload is not a 64-bit kernel module");
	memcpy(header, file->bytes, sizeof(*header));
	if (!is_module(header))
		return fail(file->failure, -ENOEXEC, "the payload is not a 64-bit kernel module");
	m->arch = arch_find(header->e_machine);
	if (!m->arch)
		return fail(file->failure, -ENOEXEC,
			    "the payload is for another architecture (ELF machine %u)",
			    header->e_machine);
	if (header->e_shentsize != sizeof(Elf64_Shdr) || header->e_shoff % 8 ||
	    !contains(file, header->e_shoff, (Elf64_Xword)header->e_shnum * sizeof(Elf64_Shdr)) ||
	    header->e_shstrndx >= header->e_shnum)
		return fail(file->failure, -ENOEXEC, "the payload's section table is broken");
	return 0;
}

/* A table of names: zero or more strings, each with an end. */
static const char *string_table(const struct section *s)
{
	if (s->header.sh_type != SHT_STRTAB || !s->bytes || s->bytes[s->header.sh_size - 1])
		return NULL;
	return (const char *)s->bytes;
}

static int name_sections(struct module *m, size_t names, const struct file *file)
{
	const char *strings = string_table(&m->sections[names]);

	if (!strings)
		return fail(file->failure, -ENOEXEC, "the payload's sections have no names");
	for (size_t i = 0; i < m->nr_sections; i++) {
		if (m->sections[i].header.sh_name >= m->sections[names].header.sh_size)
			return fail(file->failure, -ENOEXEC,
				    "the payload's section %zu has no name", i);
		m->sections[i].name = strings + m->sections[i].header.sh_name;
	}
	return 0;
}

static int read_sections(struct module *m, const Elf64_Ehdr *header, const struct file *file)
{
	m->sections = calloc((size_t)header->e_shnum + 1, sizeof(*m->sections));
	if (!m->sections)
		return fail(file->failure, -ENOMEM, "no memory for %u sections", header->e_shnum);
	m->nr_sections = header->e_shnum;
	for (size_t i = 0; i < m->nr_sections; i++) {
		struct section *s = &m->sections[i];

		memcpy(&s->header, file->bytes + header->e_shoff + i * sizeof(s->header),
		       sizeof(s->header));
		if (!has_bytes(&s->header))
			continue;
		if (!contains(file, s->header.sh_offset, s->header.sh_size))
			return fail(file->failure, -ENOEXEC,
				    "the payload's section %zu lies outside of the file", i);
		s->bytes = file->bytes + s->header.sh_offset;
	}
	return name_sections(m, header->e_shstrndx, file);
}

/* ---- no two parts overlap: a change in one changes no other ---- */

struct extent {
	Elf64_Off from, to;
};

static int by_offset(const void *a, const void *b)
{
	const struct extent *x = a, *y = b;

	return x->from < y->from ? -1 : x->from > y->from;
}

static bool overlap(struct extent *extents, size_t count)
{
	qsort(extents, count, sizeof(*extents), by_offset);
	for (size_t i = 1; i < count; i++) {
		if (extents[i].from < extents[i - 1].to)
			return true;
	}
	return false;
}

static int check_overlaps(const struct module *m, const Elf64_Ehdr *header, const struct file *file)
{
	struct extent *extents = calloc(m->nr_sections + 2, sizeof(*extents));
	size_t count = 0;
	bool bad;

	if (!extents)
		return fail(file->failure, -ENOMEM, "no memory for %zu sections", m->nr_sections);
	extents[count++] = (struct extent){0, sizeof(*header)};
	extents[count++] = (struct extent){header->e_shoff,
					   header->e_shoff + m->nr_sections * sizeof(Elf64_Shdr)};
	for (size_t i = 0; i < m->nr_sections; i++) {
		const Elf64_Shdr *h = &m->sections[i].header;

		if (m->sections[i].bytes)
			extents[count++] = (struct extent){h->sh_offset, h->sh_offset + h->sh_size};
	}
	bad = overlap(extents, count);
	free(extents);
	return bad ? fail(file->failure, -ENOEXEC, "the payload's sections overlap") : 0;
}

/* ---- symbols ---- */

static int check_symbols(const struct module *m, size_t strings_size, struct failure *f)
{
	for (size_t i = 0; i < m->nr_symbols; i++) {
		const Elf64_Sym *s = &m->symbols[i];

		if (s->st_name >= strings_size)
			return fail(f, -ENOEXEC, "the payload's symbol %zu has no name", i);
		if (s->st_shndx < SHN_LORESERVE && s->st_shndx >= m->nr_sections)
			return fail(f, -ENOEXEC, "the payload's symbol '%.100s' is in no section",
				    m->strings + s->st_name);
	}
	return 0;
}

static int read_symbols(struct module *m, const struct section *table, struct failure *f)
{
	const struct section *names;

	if (table->header.sh_link >= m->nr_sections)
		return fail(f, -ENOEXEC, "the payload's symbols have no names");
	names = &m->sections[table->header.sh_link];
	m->strings = string_table(names);
	if (!m->strings)
		return fail(f, -ENOEXEC, "the payload's symbols have no names");
	if (!table->bytes || table->header.sh_entsize != sizeof(*m->symbols) ||
	    table->header.sh_offset % 8)
		return fail(f, -ENOEXEC, "the payload's symbol table is broken");
	m->symbols = (Elf64_Sym *)table->bytes;
	m->nr_symbols = table->header.sh_size / sizeof(*m->symbols);
	return check_symbols(m, names->header.sh_size, f);
}

static int find_symbols(struct module *m, size_t *table, struct failure *f)
{
	*table = 0;
	for (size_t i = 0; i < m->nr_sections; i++) {
		if (m->sections[i].header.sh_type != SHT_SYMTAB)
			continue;
		if (*table)
			return fail(f, -ENOEXEC, "the payload has two symbol tables");
		*table = i;
	}
	if (!*table)
		return fail(f, -ENOEXEC, "the payload has no symbol table");
	return read_symbols(m, &m->sections[*table], f);
}

/* ---- relocations ---- */

/* The section that a section of relocations is for, if the kernel applies them. */
static struct section *relocated(const struct module *m, const struct section *s)
{
	if (s->header.sh_type != SHT_RELA || s->header.sh_info >= m->nr_sections ||
	    !module_is_loaded(&m->sections[s->header.sh_info]))
		return NULL;
	return &m->sections[s->header.sh_info];
}

static int check_reloc(const struct module *m, const struct section *of, const Elf64_Rela *r,
		       struct failure *f)
{
	const struct reloc_kind *kind = arch_kind(m->arch, (uint32_t)ELF64_R_TYPE(r->r_info));

	if (!kind)
		return fail(f, -ENOEXEC,
			    "the payload's section %s has relocations of type %u: its objects were "
			    "not compiled for the kernel",
			    of->name, (unsigned int)ELF64_R_TYPE(r->r_info));
	if (ELF64_R_SYM(r->r_info) >= m->nr_symbols || kind->width > of->header.sh_size ||
	    r->r_offset > of->header.sh_size - kind->width)
		return fail(f, -ENOEXEC, "a relocation of the payload's section %s is broken",
			    of->name);
	return 0;
}

static int add_relocs(struct module *m, size_t from, size_t symbols, struct failure *f)
{
	const struct section *s = &m->sections[from];
	Elf64_Rela *rela = (Elf64_Rela *)s->bytes;
	size_t count = s->header.sh_size / sizeof(*rela);
	int err;

	if (s->header.sh_entsize != sizeof(*rela) || s->header.sh_size % sizeof(*rela) ||
	    s->header.sh_offset % 8 || s->header.sh_link != symbols)
		return fail(f, -ENOEXEC, "the payload's section %s is broken", s->name);
	for (size_t i = 0; i < count && rela; i++) {
		err = check_reloc(m, relocated(m, s), &rela[i], f);
		if (err)
			return err;
		m->relocs[m->nr_relocs++] =
			(struct reloc){&rela[i], s->header.sh_info, (uint32_t)from};
	}
	return 0;
}

static struct place place_of(const struct reloc *r)
{
	return (struct place){r->section, r->rela->r_offset};
}

static int compare_places(struct place a, struct place b)
{
	if (a.section != b.section)
		return a.section < b.section ? -1 : 1;
	return a.offset < b.offset ? -1 : a.offset > b.offset;
}

static int by_place(const void *a, const void *b)
{
	return compare_places(place_of(a), place_of(b));
}

static int read_relocs(struct module *m, size_t symbols, struct failure *f)
{
	size_t count = 0;
	int err = 0;

	for (size_t i = 0; i < m->nr_sections; i++) {
		if (relocated(m, &m->sections[i]))
			count += m->sections[i].header.sh_size / sizeof(Elf64_Rela);
	}
	m->relocs = calloc(count + 1, sizeof(*m->relocs));
	if (!m->relocs)
		return fail(f, -ENOMEM, "no memory for %zu relocations", count);
	for (size_t i = 0; i < m->nr_sections && !err; i++) {
		if (relocated(m, &m->sections[i]))
			err = add_relocs(m, i, symbols, f);
	}
	qsort(m->relocs, m->nr_relocs, sizeof(*m->relocs), by_place);
	return err;
}

int module_open(struct module *m, void *bytes, size_t size, struct failure *f)
{
	const struct file file = {bytes, size, f};
	Elf64_Ehdr header = {0};
	size_t symbols;
	int err;

	*m = (struct module){.bytes = bytes};
	err = read_header(m, &file, &header);
	if (!err)
		err = read_sections(m, &header, &file);
	if (!err)
		err = check_overlaps(m, &header, &file);
	if (!err)
		err = find_symbols(m, &symbols, f);
	if (!err)
		err = read_relocs(m, symbols, f);
	return err;
}

void module_close(struct module *m)
{
	free(m->relocs);
	free(m->sections);
	*m = (struct module){0};
}

/* ---- questions of the other files ---- */

bool module_is_loaded(const struct section *s)
{
	return s->header.sh_flags & SHF_ALLOC;
}

bool module_is_code(const struct section *s)
{
	return module_is_loaded(s) && s->header.sh_flags & SHF_EXECINSTR;
}

const char *module_symbol_name(const struct module *m, size_t symbol)
{
	return m->strings + m->symbols[symbol].st_name;
}

bool module_is_undefined(const struct module *m, size_t symbol)
{
	const Elf64_Sym *s = &m->symbols[symbol];

	return s->st_name && (s->st_shndx == SHN_UNDEF || s->st_shndx == SHN_LIVEPATCH);
}

void module_define(struct module *m, size_t symbol, uint64_t address)
{
	m->symbols[symbol].st_shndx = SHN_ABS;
	m->symbols[symbol].st_value = address;
}

void module_drop_reloc(struct module *m, const struct reloc *r)
{
	r->rela->r_info = ELF64_R_INFO(0, m->arch->none);
}

/* Put the copy of the section's header, which was changed, into the file. */
static void write_header(struct module *m, size_t section)
{
	const Elf64_Shdr *h = &m->sections[section].header;
	Elf64_Ehdr header;

	memcpy(&header, m->bytes, sizeof(header));
	memcpy(m->bytes + header.e_shoff + section * sizeof(*h), h, sizeof(*h));
}

void module_clear_livepatch(struct module *m, size_t section)
{
	m->sections[section].header.sh_flags &= ~(Elf64_Xword)SHF_RELA_LIVEPATCH;
	write_header(m, section);
}

bool module_resize(struct module *m, size_t section, uint64_t size)
{
	if (m->sections[section].header.sh_type != SHT_NOBITS)
		return false;
	m->sections[section].header.sh_size = size;
	write_header(m, section);
	return true;
}

size_t module_section(const struct module *m, const char *name)
{
	for (size_t i = 1; i < m->nr_sections; i++) {
		if (!strcmp(m->sections[i].name, name))
			return i;
	}
	return 0;
}

void module_drop_info(struct module *m, const char *tag)
{
	const struct section *s = &m->sections[module_section(m, ".modinfo")];
	const size_t length = strlen(tag);
	size_t next;

	for (size_t at = 0; s->bytes && at < s->header.sh_size; at = next + 1) {
		next = at + strnlen((const char *)s->bytes + at, s->header.sh_size - at);
		if (next - at > length && !memcmp(s->bytes + at, tag, length) &&
		    s->bytes[at + length] == '=')
			memset(s->bytes + at, 0, next - at);
	}
}

struct place module_target(const struct module *m, const struct reloc *r)
{
	const Elf64_Sym *s = &m->symbols[ELF64_R_SYM(r->rela->r_info)];

	if (s->st_shndx == SHN_UNDEF || s->st_shndx >= SHN_LORESERVE)
		return (struct place){0};
	return (struct place){s->st_shndx, s->st_value + (uint64_t)r->rela->r_addend};
}

size_t module_find_reloc(const struct module *m, struct place at)
{
	size_t low = 0, high = m->nr_relocs;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_places(place_of(&m->relocs[middle]), at) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct place module_follow(const struct module *m, struct place at)
{
	size_t i = module_find_reloc(m, at);

	if (i < m->nr_relocs && !compare_places(place_of(&m->relocs[i]), at))
		return module_target(m, &m->relocs[i]);
	return (struct place){0};
}

const char *module_string(const struct module *m, struct place at)
{
	const struct section *s = &m->sections[at.section];

	if (!at.section || !s->bytes || at.offset >= s->header.sh_size ||
	    !memchr(s->bytes + at.offset, 0, s->header.sh_size - at.offset))
		return NULL;
	return (const char *)s->bytes + at.offset;
}

size_t module_symbol_in(const struct module *m, size_t section)
{
	for (size_t i = 1; i < m->nr_symbols; i++) {
		if (m->symbols[i].st_shndx == section)
			return i;
	}
	return 0;
}

const char *module_name_of(const struct module *m, struct place at)
{
	for (size_t i = 1; i < m->nr_symbols; i++) {
		const Elf64_Sym *s = &m->symbols[i];

		if (s->st_shndx == at.section && at.offset >= s->st_value &&
		    at.offset - s->st_value < s->st_size && *module_symbol_name(m, i))
			return module_symbol_name(m, i);
	}
	return m->sections[at.section].name;
}
