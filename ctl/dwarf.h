/* SPDX-License-Identifier: BSD-2-Clause */
/* For what reads DWARF itself. types.h has what others need. */
#ifndef CTL_DWARF_H
#define CTL_DWARF_H

#include <elfutils/libdw.h>

struct debug;

/* The compilation unit behind `unit`, the first one for NULL. NULL: no more. */
Dwarf_Die *debug_unit(struct debug *d, Dwarf_Die *unit);

#endif
