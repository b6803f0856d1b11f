/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A declaration of the agent's, while it is looked at: nothing in it is believed before it has been
 * compared with the kernel's text, the manifest, and the patches that are there. All functions
 * return 0 or negative errno, with d->why for people.
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
	char why[REASON_LEN];
};

#define refuse(d, error, ...) (format((d)->why, sizeof((d)->why), __VA_ARGS__), -(error))

/* The message in itself, and against the kernel's text; fills *d. */
int declaration_check(const struct engine *e, struct declaration *d,
		      const struct suture_declare *m);
/* Against the manifest of the bundle. */
int declaration_match(struct declaration *d, const struct bundle *b);
/* Against the states of the patches that are there. */
int declaration_compatible(struct engine *e, struct declaration *d);
/* Has the guest all of its functions? */
int declaration_missing(struct declaration *d);

#endif
