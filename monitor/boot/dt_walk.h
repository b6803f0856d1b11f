/* SPDX-License-Identifier: BSD-2-Clause */
/* Nodes and properties of a flattened device tree, for dt.c and dt_build.c. */
#ifndef BOOT_DT_WALK_H
#define BOOT_DT_WALK_H

#include "lib/types.h"

/* A flattened tree, checked as far as its header goes. */
struct dt {
	const u8 *blob;
	const u8 *nodes; /* the structure block */
	const char *strings;
	u32 nodes_size, strings_size, reserved_size;
};

#define DT_DEPTH 16 /* levels, of which real trees have seven or so */

enum dt_token {
	DT_BEGIN_NODE = 1,
	DT_END_NODE = 2,
	DT_PROP = 3,
	DT_NOP = 4,
	DT_END = 9,
};

struct dt_prop {
	const char *name;
	const u8 *value;
	u32 size;
};

u32 dt_be32(const void *p);
u64 dt_cells(const u8 *p, u32 count); /* a number of 0 to 2 cells; of more, the last 2 */

/*
 * The token at offset *at of the structure block, and *at behind it. name: of a node; prop: of a
 * property. NOPs are skipped. DT_END at the end, and where the block is malformed.
 */
enum dt_token dt_next(const struct dt *t, u32 *at, const char **name, struct dt_prop *prop);

/* Nodes in the order of the tree; each is the offset of its token. */
struct dt_walk {
	const struct dt *t;
	u32 at, depth; /* of the root: 1 */
	u32 node[DT_DEPTH + 1];
	const char *name;
};
#define DT_WALK(tree)                                                                              \
	{                                                                                          \
		.t = (tree)                                                                        \
	}

/* The next node: w->node[w->depth], its parent above it. False at the end. */
bool dt_walk_next(struct dt_walk *w);

/* A property of a node. False if it has none of that name. */
bool dt_prop(const struct dt *t, u32 node, const char *name, struct dt_prop *prop);

/* Its one cell; `otherwise` if there is no such property. */
u32 dt_prop_cell(const struct dt *t, u32 node, const char *name, u32 otherwise);

/* Is this string in the property's list of strings? */
bool dt_prop_has(const struct dt *t, u32 node, const char *name, const char *string);

/* A node's name without its unit address. */
bool dt_named(const char *name, const char *wanted);

/* Is it a CPU's node, below /cpus, and of which CPU? */
bool dt_is_cpu(const struct dt_walk *w, u64 *hwid);

#endif
