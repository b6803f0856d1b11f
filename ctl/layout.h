/* SPDX-License-Identifier: BSD-2-Clause */
/* Structures and unions whose layout differs between two files with debug information (DWARF). */
#ifndef CTL_LAYOUT_H
#define CTL_LAYOUT_H

#include <stdint.h>

/* One that both have: its name, and its sizes in bytes, which may be the same. */
typedef void (*layout_fn)(void *data, const char *name, uint64_t before, uint64_t after);

/*
 * Call `fn` once for each that differs by its size, or by name, place or type of its members. Those
 * that are defined in a function do not count. Returns how many there are, or -1: no memory, or a
 * file has no debug information.
 */
int layout_compare(const char *before, const char *after, layout_fn fn, void *data);

#endif
