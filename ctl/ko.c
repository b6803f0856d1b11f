/* SPDX-License-Identifier: BSD-2-Clause */
#include "ko.h"

#include <stdlib.h>
#include <string.h>

/* A symbol's number, and what the symbols are sorted by. */
struct ko_place {
	size_t section;
	GElf_Addr start, end;
	GElf_Addr reach; /* the highest end up to here in the section */
	size_t symbol;
};

struct ko_name {
	const char *name;
	size_t symbol;
};

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

/* ---- symbols in an order ---- */

static int by_place(const void *a, const void *b)
{
	const struct ko_place *p = a, *q = b;

	if (p->section != q->section)
		return p->section < q->section ? -1 : 1;
	if (p->start != q->start)
		return p->start < q->start ? -1 : 1;
	return p->symbol < q->symbol ? -1 : p->symbol > q->symbol;
}

static int by_name(const void *a, const void *b)
{
	const struct ko_name *p = a, *q = b;
	int order = strcmp(p->name, q->name);

	return order ? order : p->symbol < q->symbol ? -1 : p->symbol > q->symbol;
}

static void set_reach(struct ko *ko)
{
	for (size_t i = 0; i < ko->nr_places; i++) {
		struct ko_place *p = &ko->by_place[i];

		p->reach = p->end;
		if (i && p[-1].section == p->section && p[-1].reach > p->reach)
			p->reach = p[-1].reach;
	}
}

/* Arm's mapping symbols say where code and data begin, and name nothing (AAELF64, 5.5.5). */
static bool is_name(const struct ko *ko, const char *name)
{
	return *name && !(ko->machine == EM_AARCH64 && *name == '$');
}

static bool sort_symbols(struct ko *ko)
{
	struct ko_symbol s;

	ko->by_place = calloc(ko->count + 1, sizeof(*ko->by_place));
	ko->by_name = calloc(ko->count + 1, sizeof(*ko->by_name));
	if (!ko->by_place || !ko->by_name)
		return false;
	for (size_t i = 1; ko_symbol(ko, i, &s); i++) {
		if (!is_name(ko, s.name))
			continue;
		ko->by_name[ko->nr_names++] = (struct ko_name){s.name, i};
		if (*s.section)
			ko->by_place[ko->nr_places++] = (struct ko_place){
				.section = s.sym.st_shndx,
				.start = s.sym.st_value,
				.end = s.sym.st_value + (s.sym.st_size ? s.sym.st_size : 1),
				.symbol = i};
	}
	qsort(ko->by_place, ko->nr_places, sizeof(*ko->by_place), by_place);
	qsort(ko->by_name, ko->nr_names, sizeof(*ko->by_name), by_name);
	set_reach(ko);
	return true;
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
	return find_symbols(ko) && sort_symbols(ko) ? 0 : -1;
}

void ko_close(struct ko *ko)
{
	free(ko->by_place);
	free(ko->by_name);
	ko->by_place = NULL;
	ko->by_name = NULL;
	ko->nr_places = ko->nr_names = 0;
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

/* The number of symbols that begin at or before the offset, in the section or one before it. */
static size_t places_up_to(const struct ko *ko, size_t section, GElf_Addr offset)
{
	size_t low = 0, high = ko->nr_places;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct ko_place *p = &ko->by_place[middle];

		if (p->section < section || (p->section == section && p->start <= offset))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool ko_symbol_at(const struct ko *ko, size_t section, GElf_Addr offset, struct ko_symbol *found)
{
	size_t best = 0;
	struct ko_symbol s;

	for (size_t i = places_up_to(ko, section, offset); i; i--) {
		const struct ko_place *p = &ko->by_place[i - 1];

		if (p->section != section || p->reach <= offset)
			break;
		if (p->end <= offset || !ko_symbol(ko, p->symbol, &s))
			continue;
		if (best &&
		    (ko_is_func(&s) != ko_is_func(found) ? ko_is_func(found) : p->symbol > best))
			continue;
		*found = s;
		best = p->symbol;
	}
	return best;
}

GElf_Addr ko_next_place(const struct ko *ko, size_t section, GElf_Addr offset)
{
	size_t next = places_up_to(ko, section, offset);
	GElf_Shdr sh;

	ko_section(ko, section, &sh);
	if (next < ko->nr_places && ko->by_place[next].section == section &&
	    ko->by_place[next].start < sh.sh_size)
		return ko->by_place[next].start;
	return sh.sh_size;
}

size_t ko_next_named(const struct ko *ko, const char *name, size_t after, struct ko_symbol *s)
{
	const struct ko_name key = {name, after + 1};
	size_t low = 0, high = ko->nr_names;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (by_name(&ko->by_name[middle], &key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == ko->nr_names || strcmp(ko->by_name[low].name, name) != 0 ||
	    !ko_symbol(ko, ko->by_name[low].symbol, s))
		return 0;
	return ko->by_name[low].symbol;
}

bool ko_is_init(const char *section)
{
	return !strncmp(section, ".init", 5);
}

bool ko_is_exit(const char *section)
{
	return !strncmp(section, ".exit", 5);
}
