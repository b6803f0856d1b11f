/* SPDX-License-Identifier: BSD-2-Clause */
/* A payload's (.ko) description of its patch, read with libelf; the format is in
 * <suture/payload.h>. */
#ifndef CTL_PAYLOAD_H
#define CTL_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <suture/bundle.h>

#include "ko.h"

struct payload_func {
	const char *name;
	const char *new_name;		  /* of the function in the payload; "" if it has none */
	unsigned new_section, new_offset; /* where that is */
	su64 old_offset;		  /* see suture_manifest_func; set by places_find() */
	unsigned object;
	unsigned long sympos;
	bool uncalled; /* see SUTURE_MANIFEST_UNCALLED; set by check_funcs() */
};

struct payload_info {
	char name[SUTURE_NAME_LEN]; /* the module's, from .modinfo */
	const char *modinfo;	    /* its .modinfo section */
	size_t modinfo_size;
	bool replace;
	unsigned nr_objects, nr_funcs, nr_states;
	char objects[SUTURE_MAX_OBJECTS][SUTURE_NAME_LEN]; /* with '_', as the kernel has them */
	struct payload_func funcs[SUTURE_MAX_FUNCS];
	struct suture_manifest_state states[SUTURE_MAX_STATES];
	struct suture_manifest_symbol *symbols; /* by places_find(), malloced */
	unsigned nr_symbols;
};

/*
 * Read the patch from a module. Strings of *info point into the module's data. Returns 0, or -1
 * with a message printed that begins with the module's path.
 */
int payload_read(const struct ko *ko, struct payload_info *info);

#endif
