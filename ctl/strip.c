/* SPDX-License-Identifier: BSD-2-Clause */
#include "strip.h"

#include <elf.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct file {
	char *data;
	size_t size;
	Elf64_Ehdr header;
	Elf64_Shdr *sections; /* a copy */
	unsigned *order;      /* of their indices, by offset */
};

static bool has_bytes(const Elf64_Shdr *s)
{
	return s->sh_type != SHT_NULL && s->sh_type != SHT_NOBITS && s->sh_size;
}

static bool inside(const struct file *f, size_t offset, size_t size)
{
	return offset <= f->size && size <= f->size - offset;
}

static const Elf64_Shdr *sorted; /* for by_offset() */

static int by_offset(const void *a, const void *b)
{
	Elf64_Off x = sorted[*(const unsigned *)a].sh_offset;
	Elf64_Off y = sorted[*(const unsigned *)b].sh_offset;

	return (x > y) - (x < y);
}

static bool read_sections(struct file *f)
{
	size_t n, table;

	if (!inside(f, 0, sizeof(f->header)))
		return false;
	memcpy(&f->header, f->data, sizeof(f->header));
	n = f->header.e_shnum;
	table = n * sizeof(*f->sections);
	if (memcmp(f->header.e_ident, ELFMAG, SELFMAG) != 0 ||
	    f->header.e_ident[EI_CLASS] != ELFCLASS64 || !n || f->header.e_shstrndx >= n ||
	    f->header.e_shentsize != sizeof(*f->sections) || !inside(f, f->header.e_shoff, table))
		return false;
	f->sections = malloc(table);
	f->order = calloc(n, sizeof(*f->order));
	if (!f->sections || !f->order)
		return false;
	memcpy(f->sections, f->data + f->header.e_shoff, table);
	for (unsigned i = 0; i < n; i++) {
		const Elf64_Shdr *s = &f->sections[i];

		if (has_bytes(s) && !inside(f, s->sh_offset, s->sh_size))
			return false;
		f->order[i] = i;
	}
	sorted = f->sections;
	qsort(f->order, n, sizeof(*f->order), by_offset);
	return true;
}

static bool is_debug(const struct file *f, const Elf64_Shdr *s)
{
	const Elf64_Shdr *names = &f->sections[f->header.e_shstrndx];
	const char *name = f->data + names->sh_offset + s->sh_name;

	if (s->sh_flags & SHF_ALLOC || s->sh_name >= names->sh_size ||
	    !memchr(name, 0, names->sh_size - s->sh_name))
		return false;
	return !strncmp(name, ".debug_", 7) || !strncmp(name, ".rela.debug_", 12);
}

/* The header of a removed section stays, with type SHT_NULL, so that no index changes. */
static void drop_debug(struct file *f)
{
	for (unsigned i = 0; i < f->header.e_shnum; i++) {
		Elf64_Shdr *s = &f->sections[i];

		if (is_debug(f, s))
			*s = (Elf64_Shdr){.sh_name = s->sh_name};
	}
}

/* In the order of the file everything moves forward, or stays. Returns the end. */
static size_t close_gaps(struct file *f)
{
	size_t end = sizeof(f->header);

	for (unsigned i = 0; i < f->header.e_shnum; i++) {
		Elf64_Shdr *s = &f->sections[f->order[i]];
		size_t align = s->sh_addralign ? s->sh_addralign : 1, to;

		if (!has_bytes(s)) {
			/* the kernel wants the offset of an empty section within the file, too */
			s->sh_offset = s->sh_type != SHT_NULL ? end : 0;
			continue;
		}
		to = (end + align - 1) / align * align;
		if (to > s->sh_offset)
			to = s->sh_offset;
		memmove(f->data + to, f->data + s->sh_offset, s->sh_size);
		memset(f->data + end, 0, to - end);
		s->sh_offset = to;
		end = to + s->sh_size;
	}
	return end;
}

/* The table of sections goes to the end, as before. */
static bool write_sections(struct file *f, size_t end)
{
	size_t table = f->header.e_shnum * sizeof(*f->sections);
	size_t at = (end + 7) & ~(size_t)7;

	if (!inside(f, at, table))
		return false;
	memset(f->data + end, 0, at - end);
	memcpy(f->data + at, f->sections, table);
	f->header.e_shoff = at;
	memcpy(f->data, &f->header, sizeof(f->header));
	f->size = at + table;
	return true;
}

int strip_debug(void *data, size_t *size)
{
	struct file f = {.data = data, .size = *size};
	bool good = read_sections(&f);

	if (good) {
		drop_debug(&f);
		good = write_sections(&f, close_gaps(&f));
	}
	free(f.sections);
	free(f.order);
	if (!good)
		return -1;
	*size = f.size;
	return 0;
}
