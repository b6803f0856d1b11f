/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of the target's symbols, as create-diff-object reads it from readelf's output. */
#ifndef CTL_DIFF_SYMTAB_H
#define CTL_DIFF_SYMTAB_H

#include "../ko.h"
#include "target.h"

/*
 * Write it: the symbols of the object `original` under its file's name, and those global ones of
 * the target that `original` or `patched` name. Addresses and positions are not in it: they come
 * from the match. An exit code, with a message printed.
 */
int symtab_write(const char *path, const struct target *t, const struct ko *original,
		 const struct ko *patched);

#endif
