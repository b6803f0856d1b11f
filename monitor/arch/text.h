/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the monitor asks of an architecture: what a kernel's module loader makes of a module's code.
 * Pure functions; any CPU; they take no lock and allocate nothing.
 */
#ifndef ARCH_TEXT_H
#define ARCH_TEXT_H

#include "lib/types.h"

/* What a relocation has written. */
struct text_field {
	u32 size;     /* bytes that it may change, 8 at most; 0: none */
	u64 bits;     /* of these, as a little-endian number */
	u64 value;    /* symbol + addend, as the bytes say */
	u64 known;    /* the bits of `value` that they say */
	bool branch;  /* a jump or call, which may lead to a veneer instead */
	bool is_code; /* the symbol is code */
};

#define TEXT_FIELD_MAX 8u /* bytes that must be readable at `code` */

/*
 * Read the field of a relocation of that type (ELF, r_info) at guest virtual address `at`, where
 * the bytes `code` are. -EOPNOTSUPP: the type is unknown. x86: AMD64 ABI, table 4.9; arm64: ELF for
 * the Arm 64-bit Architecture, 5.7.
 */
int arch_text_field(u32 type, u64 at, const u8 code[TEXT_FIELD_MAX], struct text_field *f);

#define TEXT_VENEER_LEN 12u

/*
 * The target of the veneer at guest virtual address `at`, as the loader and the agent make them; 0:
 * it is none. x86 has none.
 */
u64 arch_text_veneer(const u8 code[TEXT_VENEER_LEN], u64 at);

/*
 * The bytes from `code` on, `left` in all, that may lie between and behind a module's sections: how
 * many of them are one filler or veneer; 0: what is there is none.
 */
u32 arch_text_filler(const u8 *code, size_t left, u64 at);

/* A table of a module that lists places in its code that the kernel writes to. */
struct text_table {
	const char *section;
	u32 kind;  /* the architecture's */
	u32 entry; /* bytes of an entry; 0: as many as its two relocations make of the section */
	u32 used;  /* of which these have a meaning: the last one may end behind them; 0: all */
	/* consecutive entries for the same place are one site, of which any may be in force */
	bool grouped;
	/* its entries are no references to sites, but code, and the sites */
	bool is_code;
};

/* The tables that there are, *count of them, in the order in which the kernel carries them out. */
const struct text_table *arch_text_tables(u32 *count);

#define TEXT_SITE_MAX 255u /* the longest site, bytes */

/*
 * One entry of such a table, if it is no code. Its first relocation names the site (reference 0),
 * its second one what reference 1 is.
 */
struct text_site {
	u32 kind;
	u64 at;		 /* guest virtual address */
	const u8 *own;	 /* the bytes in the module's file */
	const u8 *now;	 /* those in memory; set after arch_text_site_len() */
	u32 left;	 /* bytes of the section from the site on */
	u32 len;	 /* of the site; likewise */
	const u8 *entry; /* of the table, in the file */
	u32 entry_size;

	/*
	 * Copy the file's bytes at a reference, with what relocations make of them at the site,
	 * where memory has that: they compare equal to `now` then, and differ elsewhere. False: it
	 * is not in a section of code, or shorter.
	 */
	bool (*expect)(const struct text_site *s, u32 reference, u8 *buf, u32 len);
	/* Has a reference a relocation, `offset` bytes from it, to that value? */
	bool (*refers)(const struct text_site *s, u32 reference, u32 offset, u64 value);
	/* The guest virtual address of a reference; 0: it is not in the module's code. */
	u64 (*address)(const struct text_site *s, u32 reference);
	/* The name of the symbol that the site's first relocation in the file has; "": none. */
	const char *(*symbol)(const struct text_site *s);
	/* Is the address in the text of the kernel or of a module? */
	bool (*is_code)(u64 va);
	/* Read the guest's memory. 0 or negative errno. */
	int (*read)(u64 va, u8 *buf, size_t len);
	/* Is the value the one that this function was first called with in this comparison? */
	bool (*is_first)(const struct text_site *s, u64 value);
	void *arg; /* the caller's */
};

/* The length of the site; 0: the file has there what no such site is. */
u32 arch_text_site_len(const struct text_site *s);

/* Is `now` one of the values that the kernel gives to the site by this entry? */
bool arch_text_site_fits(const struct text_site *s);

/*
 * Does the instruction that the byte at offset `at` of a module's text is part of look as a
 * kprobe's: a breakpoint or, optimized, a jump? For messages: others may write the same. `size`:
 * bytes of text.
 */
bool arch_text_is_probe(const u8 *text, u64 at, u64 size);

#define TEXT_CALLED_LEN 8u

/*
 * Does a call whose field has a value, from which on memory is `code`, lead to what the kernel puts
 * in front of functions to count calls (x86: retbleed=stuff)? For messages.
 */
bool arch_text_counts_calls(const u8 code[TEXT_CALLED_LEN]);

#endif
