/* SPDX-License-Identifier: BSD-2-Clause */
#include "object.h"
#include "../ctl.h"

#include <stdlib.h>
#include <string.h>

#define OBJECT_MAX ((size_t)256 << 20)

static bool copy_section(struct object_section *s, const unsigned char *file, size_t size)
{
	if (s->sh.sh_type == SHT_NOBITS || s->sh.sh_type == SHT_NULL)
		return true;
	if (s->sh.sh_offset > size || s->sh.sh_size > size - s->sh.sh_offset)
		return false;
	s->data = malloc(s->sh.sh_size + 1);
	if (!s->data)
		return false;
	memcpy(s->data, file + s->sh.sh_offset, s->sh.sh_size);
	s->data[s->sh.sh_size] = 0;
	return true;
}

static bool copy_sections(struct object *o, const unsigned char *file, size_t size)
{
	if (size < sizeof(o->header))
		return false;
	memcpy(&o->header, file, sizeof(o->header));
	o->count = o->header.e_shnum;
	if (memcmp(o->header.e_ident, ELFMAG, SELFMAG) != 0 ||
	    o->header.e_ident[EI_CLASS] != ELFCLASS64 || o->header.e_type != ET_REL ||
	    o->header.e_shoff > size || o->count * sizeof(Elf64_Shdr) > size - o->header.e_shoff)
		return false;
	o->sections = calloc(o->count + 1, sizeof(*o->sections));
	for (size_t i = 0; o->sections && i < o->count; i++) {
		struct object_section *s = &o->sections[i];

		memcpy(&s->sh, file + o->header.e_shoff + i * sizeof(s->sh), sizeof(s->sh));
		if (!copy_section(s, file, size))
			return false;
		if (s->sh.sh_type == SHT_SYMTAB)
			o->symtab = i;
	}
	return o->sections && o->symtab;
}

int object_open(struct object *o, const char *path)
{
	size_t size;
	unsigned char *file = read_file(path, OBJECT_MAX, &size);
	bool good;

	*o = (struct object){0};
	good = file && copy_sections(o, file, size);
	free(file);
	return good ? 0 : -1;
}

void object_close(struct object *o)
{
	for (size_t i = 0; o->sections && i < o->count; i++)
		free(o->sections[i].data);
	free(o->sections);
	*o = (struct object){0};
}

/* Zeros up to a multiple of `align`. */
static uint64_t pad(FILE *f, uint64_t at, uint64_t align)
{
	for (; align > 1 && at % align; at++)
		fputc(0, f);
	return at;
}

int object_write(const struct object *o, const char *path)
{
	FILE *f = fopen(path, "wb");
	Elf64_Ehdr header = o->header;
	uint64_t at = sizeof(header);

	if (!f)
		return -1;
	fseek(f, (long)at, SEEK_SET);
	for (size_t i = 0; i < o->count; i++) {
		struct object_section *s = &o->sections[i];

		at = s->data ? pad(f, at, s->sh.sh_addralign) : at;
		s->sh.sh_offset = s->sh.sh_type == SHT_NULL ? 0 : at;
		if (s->data)
			at += fwrite(s->data, 1, s->sh.sh_size, f);
	}
	header.e_shoff = pad(f, at, 8);
	for (size_t i = 0; i < o->count; i++)
		fwrite(&o->sections[i].sh, sizeof(Elf64_Shdr), 1, f);
	fseek(f, 0, SEEK_SET);
	fwrite(&header, sizeof(header), 1, f);
	at = (uint64_t)ferror(f);
	return fclose(f) || at ? -1 : 0;
}

/* ---- what is in it ---- */

static const char *string_at(const struct object *o, size_t section, uint64_t at)
{
	const struct object_section *s = &o->sections[section];

	return section < o->count && s->data && at < s->sh.sh_size ? (const char *)s->data + at
								   : "";
}

const char *object_section_name(const struct object *o, size_t section)
{
	return section < o->count
		       ? string_at(o, o->header.e_shstrndx, o->sections[section].sh.sh_name)
		       : "";
}

size_t object_find(const struct object *o, const char *name)
{
	for (size_t i = 1; i < o->count; i++)
		if (!strcmp(object_section_name(o, i), name))
			return i;
	return 0;
}

size_t object_relocations(const struct object *o, size_t section)
{
	for (size_t i = 1; i < o->count; i++)
		if (o->sections[i].sh.sh_type == SHT_RELA && o->sections[i].sh.sh_info == section)
			return i;
	return 0;
}

const Elf64_Sym *object_symbol(const struct object *o, size_t number)
{
	const struct object_section *s = &o->sections[o->symtab];

	return number < s->sh.sh_size / sizeof(Elf64_Sym) ? (const Elf64_Sym *)s->data + number
							  : NULL;
}

const char *object_symbol_name(const struct object *o, const Elf64_Sym *s)
{
	return string_at(o, o->sections[o->symtab].sh.sh_link, s->st_name);
}

bool object_target(const struct object *o, size_t at_section, uint64_t at, size_t *section,
		   uint64_t *offset)
{
	size_t rela = object_relocations(o, at_section);
	const struct object_section *s = &o->sections[rela];
	const Elf64_Rela *r = (const Elf64_Rela *)s->data;

	for (size_t i = 0; rela && i < s->sh.sh_size / sizeof(*r); i++) {
		const Elf64_Sym *sym = object_symbol(o, ELF64_R_SYM(r[i].r_info));

		if (r[i].r_offset != at || !sym)
			continue;
		*section = sym->st_shndx;
		*offset = sym->st_value + (uint64_t)r[i].r_addend;
		return *section && *section < o->count;
	}
	return false;
}

const char *object_string(const struct object *o, size_t section, uint64_t at)
{
	size_t strings;
	uint64_t offset;

	return object_target(o, section, at, &strings, &offset) ? string_at(o, strings, offset)
								: NULL;
}

/* ---- additions ---- */

static int append(struct object_section *s, const void *data, size_t size)
{
	unsigned char *grown = realloc(s->data, s->sh.sh_size + size + 1);

	if (!grown)
		return -1;
	memcpy(grown + s->sh.sh_size, data, size);
	s->data = grown;
	s->sh.sh_size += size;
	s->data[s->sh.sh_size] = 0;
	return 0;
}

size_t object_add_symbol(struct object *o, const char *name, Elf64_Sym symbol)
{
	struct object_section *table = &o->sections[o->symtab];
	struct object_section *strings = &o->sections[table->sh.sh_link];

	symbol.st_name = (Elf64_Word)strings->sh.sh_size;
	if (append(strings, name, strlen(name) + 1) || append(table, &symbol, sizeof(symbol)))
		return 0;
	return table->sh.sh_size / sizeof(symbol) - 1;
}

int object_add_relocation(struct object *o, size_t section, Elf64_Rela relocation)
{
	size_t rela = object_relocations(o, section);

	return rela ? append(&o->sections[rela], &relocation, sizeof(relocation)) : -1;
}
