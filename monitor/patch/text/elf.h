/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A payload's file: a relocatable ELF file of 64 bits, little-endian (System V ABI, chapter 4).
 * Nothing in it is trusted: every offset is compared with the file's size. Pure logic.
 */
#ifndef PATCH_TEXT_ELF_H
#define PATCH_TEXT_ELF_H

#include "lib/types.h"

#define ELF_UNDEF 0u
#define ELF_ABS	  0xfff1u
#define ELF_KLP	  0xff20u /* Linux: undefined until livepatch resolves it */

#define ELF_RELA   4u
#define ELF_NOBITS 8u

#define ELF_ALLOC 2u
#define ELF_EXEC  4u

struct elf_section {
	u32 name, type;
	u64 flags, addr, offset, size;
	u32 link, info;
	u64 align, entry_size;
};

struct elf_symbol {
	u32 name;
	u8 info, other;
	u16 section;
	u64 value, size;
};

struct elf_reloc {
	u64 offset, info;
	s64 addend;
};

static inline u32 elf_reloc_type(const struct elf_reloc *r)
{
	return (u32)r->info;
}

static inline u32 elf_reloc_symbol(const struct elf_reloc *r)
{
	return (u32)(r->info >> 32);
}

static inline bool elf_is_weak(const struct elf_symbol *s)
{
	return s->info >> 4 == 2;
}

struct elf_file {
	const u8 *data;
	size_t size;
	u64 sections; /* offset of the headers */
	u32 nr_sections;
	struct elf_section names, symbols, strings;
	u32 nr_symbols;
};

/* data outlives *f. -ENOEXEC: it is not such a file, or it is damaged. */
int elf_open(struct elf_file *f, const u8 *data, size_t size);

/*
 * i is below nr_sections, or nr_symbols. A section that is not ELF_NOBITS lies within the file; the
 * symbol of a section that does not exist has the section ELF_ABS + 1; one of ELF_KLP is undefined.
 */
struct elf_section elf_section(const struct elf_file *f, u32 i);
struct elf_symbol elf_symbol(const struct elf_file *f, u32 i);
/* "" if it is not terminated. */
const char *elf_section_name(const struct elf_file *f, const struct elf_section *s);
const char *elf_symbol_name(const struct elf_file *f, const struct elf_symbol *s);

/* The number of relocations in a section of type ELF_RELA for the section s->info; each of them. */
u32 elf_count_relocs(const struct elf_section *s);
struct elf_reloc elf_reloc(const struct elf_file *f, const struct elf_section *s, u32 i);

#endif
