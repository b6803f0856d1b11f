/* SPDX-License-Identifier: BSD-2-Clause */
/* Names of modules, and so of patches and objects: '-' is '_' in them, as in Linux. */
#ifndef CTL_NAMES_H
#define CTL_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <suture/abi.h>

/* Are n characters of both the same name? */
bool names_equal(const char *a, const char *b, size_t n);

/* The name as the kernel has it. False: it does not fit into `size` bytes. */
bool names_copy(char *to, size_t size, const char *from);

/* The symbol that an undefined one of a payload means: see SUTURE_SYMBOL_PREFIX. */
struct wanted {
	char object[SUTURE_NAME_LEN]; /* "": any */
	char name[512];
	unsigned long position;
};

/* False: it is not OBJECT.NAME.POSITION, or too long. */
bool names_parse_symbol(const char *symbol, struct wanted *w);

#endif
