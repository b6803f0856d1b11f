/* SPDX-License-Identifier: BSD-2-Clause */
/* An object file whose symbols and relocations are added to. */
#ifndef CTL_DIFF_OBJECT_H
#define CTL_DIFF_OBJECT_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct object_section {
	Elf64_Shdr sh;
	unsigned char *data; /* malloced, sh.sh_size bytes; NULL for SHT_NOBITS */
};

struct object {
	Elf64_Ehdr header;
	struct object_section *sections;
	size_t count, symtab; /* an index */
};

/* Returns 0; -1 when the file cannot be read or is no such file. object_close() after both. */
int object_open(struct object *o, const char *path);
void object_close(struct object *o);

/* Write it. Returns 0 or -1. */
int object_write(const struct object *o, const char *path);

/* The index of the section of that name, and of the one with its relocations; 0: there is none. */
size_t object_find(const struct object *o, const char *name);
size_t object_relocations(const struct object *o, size_t section);

const char *object_section_name(const struct object *o, size_t section);

/* The symbol of that number, and its name; NULL: there is none. */
const Elf64_Sym *object_symbol(const struct object *o, size_t number);
const char *object_symbol_name(const struct object *o, const Elf64_Sym *s);

/*
 * The relocation of the section at that offset. False: there is none. *section and *offset become
 * what it refers to.
 */
bool object_target(const struct object *o, size_t at_section, uint64_t at, size_t *section,
		   uint64_t *offset);

/* What the relocation there refers to, as a string; NULL: it is none. */
const char *object_string(const struct object *o, size_t section, uint64_t at);

/* Add a symbol, whose name is malloced anew in the file. Its number, 0 without memory. */
size_t object_add_symbol(struct object *o, const char *name, Elf64_Sym symbol);

/* Add a relocation of a section that has some. Returns 0, or -1 without memory or such a section.
 */
int object_add_relocation(struct object *o, size_t section, Elf64_Rela relocation);

#endif
