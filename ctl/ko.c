/* SPDX-License-Identifier: BSD-2-Clause */
#include "ko.h"

#include <string.h>

static bool find_symbols(struct ko *ko)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr sh;

	while ((scn = elf_nextscn(ko->elf, scn)) != NULL) {
		if (!gelf_getshdr(scn, &sh) || sh.sh_type != SHT_SYMTAB)
			continue;
		ko->symbols = elf_getdata(scn, NULL);
		ko->symbol_names = sh.sh_link;
		ko->count = sh.sh_size / sizeof(Elf64_Sym);
	}
	return ko->symbols;
}

int ko_open(struct ko *ko, const char *path, void *data, size_t size)
{
	GElf_Ehdr eh;

	*ko = (struct ko){.path = path};
	elf_version(EV_CURRENT);
	ko->elf = elf_memory(data, size);
	if (!ko->elf || !gelf_getehdr(ko->elf, &eh) || eh.e_type != ET_REL ||
	    eh.e_ident[EI_CLASS] != ELFCLASS64 || eh.e_ident[EI_DATA] != ELFDATA2LSB ||
	    elf_getshdrstrndx(ko->elf, &ko->section_names))
		return -1;
	ko->machine = eh.e_machine;
	return find_symbols(ko) ? 0 : -1;
}

void ko_close(struct ko *ko)
{
	elf_end(ko->elf);
	ko->elf = NULL;
}

const char *ko_section(const struct ko *ko, size_t index, GElf_Shdr *sh)
{
	Elf_Scn *scn = index && index < SHN_LORESERVE ? elf_getscn(ko->elf, index) : NULL;
	const char *name;

	memset(sh, 0, sizeof(*sh));
	if (!scn || !gelf_getshdr(scn, sh))
		return "";
	name = elf_strptr(ko->elf, ko->section_names, sh->sh_name);
	return name ? name : "";
}

size_t ko_find_section(const struct ko *ko, const char *name)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr sh;

	while ((scn = elf_nextscn(ko->elf, scn)) != NULL)
		if (!strcmp(ko_section(ko, elf_ndxscn(scn), &sh), name))
			return elf_ndxscn(scn);
	return 0;
}

Elf_Data *ko_section_data(const struct ko *ko, const char *name)
{
	size_t section = ko_find_section(ko, name);

	return section ? elf_getdata(elf_getscn(ko->elf, section), NULL) : NULL;
}

bool ko_symbol(const struct ko *ko, size_t index, struct ko_symbol *s)
{
	GElf_Shdr sh;

	if (index >= ko->count || !gelf_getsym(ko->symbols, (int)index, &s->sym))
		return false;
	s->name = elf_strptr(ko->elf, ko->symbol_names, s->sym.st_name);
	if (!s->name)
		s->name = "";
	s->section = ko_section(ko, s->sym.st_shndx, &sh);
	s->flags = sh.sh_flags;
	return true;
}

bool ko_is_defined(const struct ko_symbol *s)
{
	return *s->name && *s->section && s->flags & SHF_ALLOC;
}

bool ko_is_func(const struct ko_symbol *s)
{
	return GELF_ST_TYPE(s->sym.st_info) == STT_FUNC;
}

bool ko_symbol_at(const struct ko *ko, size_t section, GElf_Addr offset, struct ko_symbol *found)
{
	bool any = false;
	struct ko_symbol s;

	for (size_t i = 1; ko_symbol(ko, i, &s); i++) {
		GElf_Xword size = s.sym.st_size ? s.sym.st_size : 1;

		if (s.sym.st_shndx != section || !*s.name || offset < s.sym.st_value ||
		    offset - s.sym.st_value >= size)
			continue;
		if (!any || (ko_is_func(&s) && !ko_is_func(found)))
			*found = s;
		any = true;
	}
	return any;
}

bool ko_is_init(const char *section)
{
	return !strncmp(section, ".init", 5);
}

bool ko_is_exit(const char *section)
{
	return !strncmp(section, ".exit", 5);
}
