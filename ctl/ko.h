/* SPDX-License-Identifier: BSD-2-Clause */
/* A kernel module's file (.ko): its sections, symbols and relocations. */
#ifndef CTL_KO_H
#define CTL_KO_H

#include <gelf.h>
#include <libelf.h>
#include <stdbool.h>
#include <stddef.h>

struct ko {
	const char *path; /* the caller's */
	Elf *elf;
	size_t section_names; /* index of the string table */
	Elf_Data *symbols;
	size_t symbol_names; /* likewise */
	size_t count;	     /* of symbols; the first one is empty */
	unsigned machine;    /* e_machine */
	/* those with a name and a section, by that and offset; and those with a name, by that */
	struct ko_place *by_place;
	struct ko_name *by_name;
	size_t nr_places, nr_names;
};

struct ko_symbol {
	const char *name; /* "" for a section's */
	GElf_Sym sym;
	const char *section; /* "" if it is not in a section */
	GElf_Xword flags;    /* of the section */
};

/*
 * data must outlive *ko. Returns 0; -1 when it is not a 64-bit little-endian object file, or has no
 * symbols. Prints nothing. ko_close() also after a failure.
 */
int ko_open(struct ko *ko, const char *path, void *data, size_t size);
void ko_close(struct ko *ko);

/* A section's name and header; "" and zeros for what is none. */
const char *ko_section(const struct ko *ko, size_t index, GElf_Shdr *sh);

/* The index of the section of that name, 0 if there is none; and its content. */
size_t ko_find_section(const struct ko *ko, const char *name);
Elf_Data *ko_section_data(const struct ko *ko, const char *name);

/* False: there is no such symbol. */
bool ko_symbol(const struct ko *ko, size_t index, struct ko_symbol *s);

bool ko_is_defined(const struct ko_symbol *s);
bool ko_is_func(const struct ko_symbol *s);

/*
 * The symbol with a name that begins at, or has, the byte in the section; a function before another
 * one of the same place. False: none is there.
 */
bool ko_symbol_at(const struct ko *ko, size_t section, GElf_Addr offset, struct ko_symbol *s);

/*
 * The next symbol of that name behind number `after`, in the order of the file; 0 as `after`: the
 * first. Returns its number; 0: there is none.
 */
size_t ko_next_named(const struct ko *ko, const char *name, size_t after, struct ko_symbol *s);

/* Where the next symbol with a name begins behind the offset in the section; or its end. */
GElf_Addr ko_next_place(const struct ko *ko, size_t section, GElf_Addr offset);

/* Memory that is freed when the module's init has run, or when it goes. */
bool ko_is_init(const char *section);
bool ko_is_exit(const char *section);

#endif
