/* SPDX-License-Identifier: BSD-2-Clause */
/* The entry of a function that is to be replaced: where the monitor's jump goes. */
#ifndef CTL_ENTRY_H
#define CTL_ENTRY_H

#include <stdbool.h>
#include <stddef.h>

struct entry {
	unsigned at;   /* where the jump begins: see arch_redirect_offset() */
	unsigned size; /* of the jump */
	bool site;     /* ftrace has a site there */
};

/* The entry of the code, for a machine of enum suture_machine. */
struct entry entry_read(unsigned machine, const unsigned char *code, size_t size);

#endif
