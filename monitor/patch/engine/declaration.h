/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The checks of the agent's declaration. Nothing in it is used before it has been compared with the
 * kernel's text, the manifest, and the patches that are installed. All functions return 0 or
 * negative errno, with the reason in d->why.
 */
#ifndef PATCH_ENGINE_DECLARATION_H
#define PATCH_ENGINE_DECLARATION_H

#include "patch/engine/types.h"

struct declaration {
	const struct suture_declare *m;
	const struct suture_decl_object *objects;
	const struct suture_decl_func *funcs;
	const struct suture_decl_state *states;
	const struct suture_decl_part *parts;
	const struct suture_decl_clone *clones;
	u32 *by_name;		  /* numbers of the functions, as decl_by_name() has them */
	struct text_func *placed; /* by the manifest's order; by declaration_match() */
	/* a bit for each function: the manifest says SUTURE_MANIFEST_UNCALLED */
	u64 uncalled[SUTURE_MAX_FUNCS / 64];
	char why[REASON_LEN];
};

#define refuse(d, error, ...) (format((d)->why, sizeof((d)->why), __VA_ARGS__), -(error))

/*
 * Check the message's structure, and its addresses against the kernel's text; fills *d, which
 * declaration_free() frees, also after an error.
 */
int declaration_check(const struct engine *e, struct declaration *d,
		      const struct suture_declare *m);
void declaration_free(const struct engine *e, struct declaration *d);
/* Compare it with the manifest of the bundle; fills `uncalled` and `placed`. */
int declaration_match(const struct engine *e, struct declaration *d, const struct bundle *b);
/* Compare its states with those of the patches that are installed. */
int declaration_compatible(struct engine *e, struct declaration *d);
/* Does the guest have all of its functions? */
int declaration_missing(struct declaration *d);

#endif
