/* SPDX-License-Identifier: BSD-2-Clause */
/* The scan for references: shared by refs.c and the files for each architecture. */
#ifndef CTL_REFS_SCAN_H
#define CTL_REFS_SCAN_H

#include "areas.h"
#include "kernel.h"

#include <gelf.h>

/* By the low 16 bits of the targets: most words end there. */
#define HEADS 65536u

struct scan {
	const struct areas *areas;
	const uint64_t *targets;
	unsigned count;
	refs_fn fn;
	void *data;
	unsigned char heads[HEADS];
};

/* The place of `ref` refers to that address: tell, if it is one of the targets. */
void refs_look(const struct scan *s, uint64_t address, const struct ref *ref);

/* Add the area, without the bytes of the spans. */
struct span {
	uint64_t start, end;
};
void refs_add_cut(struct areas *a, struct area area, const struct span *cuts, size_t nr_cuts);

/* ---- arm64 ---- */

/*
 * An Image has no sections: its parts are told by symbols, and its relocations by what they look
 * like. `cuts` are left out. -1: there are none of the kind that is known, or there is no memory.
 */
#define IMAGE_CUTS 8
int refs_arm64_image(struct areas *a, const struct kernel *k, const struct span *cuts,
		     size_t nr_cuts);

/* Write what a relocation of a module's says; `value` is symbol and addend. */
void refs_arm64_relocate(const struct area *area, const GElf_Rela *r, uint64_t value);

void refs_arm64_scan(const struct scan *s, const struct area *a);

#endif
