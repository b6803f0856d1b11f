/* SPDX-License-Identifier: BSD-2-Clause */
#include "fields.h"

#include <stdlib.h>
#include <string.h>

/* System V ABI, AMD64 supplement, 4.4.1. */
static const struct kind {
	unsigned machine;
	uint32_t type;
	unsigned size;
	bool relative;	/* to its place */
	bool is_signed; /* it is extended so */
} kinds[] = {
	{EM_X86_64, R_X86_64_64, 8, false, false},  {EM_X86_64, R_X86_64_PC32, 4, true, true},
	{EM_X86_64, R_X86_64_PLT32, 4, true, true}, {EM_X86_64, R_X86_64_32, 4, false, false},
	{EM_X86_64, R_X86_64_32S, 4, false, true},  {EM_X86_64, R_X86_64_PC64, 8, true, false},
	{EM_X86_64, R_X86_64_16, 2, false, false},  {EM_X86_64, R_X86_64_8, 1, false, false},
};

static const struct kind *find_kind(unsigned machine, uint32_t type)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kinds[i].machine == machine && kinds[i].type == type)
			return &kinds[i];
	return NULL;
}

unsigned fields_size(unsigned machine, uint32_t type)
{
	const struct kind *k = find_kind(machine, type);

	return k ? k->size : 0;
}

bool fields_address(unsigned machine, uint32_t type, const unsigned char *bytes, uint64_t place,
		    uint64_t *address)
{
	const struct kind *k = find_kind(machine, type);
	uint64_t value = 0;

	if (!k || k->size < 4)
		return false;
	memcpy(&value, bytes, k->size);
	if (k->size == 4 && k->is_signed)
		value = (uint64_t)(int64_t)(int32_t)value;
	*address = value + (k->relative ? place : 0);
	return true;
}

static int by_offset(const void *a, const void *b)
{
	const struct field *f = a, *g = b;

	return f->offset < g->offset ? -1 : f->offset > g->offset;
}

/* The relocations of one section. Returns 0, or -1 without memory. */
static int read_section(struct section_fields *s, Elf_Data *data, size_t count)
{
	struct field *list = realloc(s->list, (s->count + count) * sizeof(*list));
	GElf_Rela r;

	if (!list)
		return -1;
	s->list = list;
	for (size_t i = 0; i < count && gelf_getrela(data, (int)i, &r); i++)
		s->list[s->count++] = (struct field){r.r_offset, (uint32_t)GELF_R_TYPE(r.r_info),
						     GELF_R_SYM(r.r_info), r.r_addend};
	qsort(s->list, s->count, sizeof(*s->list), by_offset);
	return 0;
}

int fields_read(struct fields *f, const struct ko *ko)
{
	Elf_Scn *scn = NULL;
	GElf_Shdr sh;

	*f = (struct fields){0};
	if (elf_getshdrnum(ko->elf, &f->count))
		return -1;
	f->sections = calloc(f->count, sizeof(*f->sections));
	while (f->sections && (scn = elf_nextscn(ko->elf, scn)) != NULL) {
		Elf_Data *data = elf_getdata(scn, NULL);

		if (!gelf_getshdr(scn, &sh) || sh.sh_type != SHT_RELA || sh.sh_info >= f->count ||
		    !data || !sh.sh_size)
			continue;
		if (read_section(&f->sections[sh.sh_info], data, sh.sh_size / sizeof(Elf64_Rela)))
			return -1;
	}
	return f->sections ? 0 : -1;
}

void fields_free(struct fields *f)
{
	for (size_t i = 0; f->sections && i < f->count; i++)
		free(f->sections[i].list);
	free(f->sections);
	*f = (struct fields){0};
}

const struct field *fields_from(const struct fields *f, size_t section, uint64_t offset)
{
	const struct section_fields *s = &f->sections[section];
	size_t low = 0, high = s->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (s->list[middle].offset < offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low < s->count ? &s->list[low] : NULL;
}

const struct field *fields_next(const struct fields *f, size_t section, const struct field *field)
{
	const struct section_fields *s = &f->sections[section];

	return field + 1 < s->list + s->count ? field + 1 : NULL;
}
