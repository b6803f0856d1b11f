/* SPDX-License-Identifier: BSD-2-Clause */
/* The kernel image's own table of symbols, for /proc/kallsyms. It has no symbols of modules. */
#ifndef CTL_KALLSYMS_H
#define CTL_KALLSYMS_H

#include "image.h"

struct ksym {
	uint64_t address; /* without KASLR; in an arm64 Image */
	const char *name;
	uint32_t next; /* of those with the same hash */
	char type;     /* as nm has them: 't' is a static function */
};

struct kallsyms {
	struct ksym *syms; /* in the order of /proc/kallsyms, which is that of addresses */
	uint32_t count;
	uint32_t *heads;
	char *names;
	uint64_t table, table_end; /* where the image keeps the addresses, as 32-bit offsets */
};

/*
 * Returns 0; -1 when the image has no tables in a known layout (x86-64 and arm64 of 5.10 to
 * 7.2), or there is no memory. Prints nothing. kallsyms_free() also after a failure.
 */
int kallsyms_read(struct kallsyms *k, const struct image *image);
void kallsyms_free(struct kallsyms *k);

/* The symbols of a name one after the other: the first for after == NULL. NULL: no more. */
const struct ksym *kallsyms_find(const struct kallsyms *k, const char *name,
				 const struct ksym *after);

/* The address of the first symbol of that name, 0 if there is none. */
uint64_t kallsyms_address(const struct kallsyms *k, const char *name);

/* The symbol that has that address in it, the first of several. NULL: none is before it. */
const struct ksym *kallsyms_at(const struct kallsyms *k, uint64_t address);

/* True if the kernel frees the memory at that address when it has started. */
bool kallsyms_is_init(const struct kallsyms *k, uint64_t address);

/* Bytes to the next symbol, which is the size that the kernel takes it to have. 0: the last one. */
uint64_t kallsyms_size(const struct kallsyms *k, const struct ksym *s);

#endif
