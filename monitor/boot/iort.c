/* SPDX-License-Identifier: BSD-2-Clause */
/* Sections are those of DEN0049E. */
#include "boot/iort.h"
#include "lib/string.h"

/* Of the table and of each node (3.1): how many, and where the first one is. */
#define NODES	 36
#define MAPPINGS 8
#define NODE_MIN 16

enum node_type { NODE_SMMU = 3, NODE_SMMU_V3 = 4, NODE_UNKNOWN = 0xff };

/* From device IDs of a node to those of another (3.1.1). */
struct mapping {
	u32 input, last; /* IDs, and how many without one */
	u32 output;
	u32 node; /* offset in the table */
	u32 flags;
} __attribute__((packed));
#define MAPPING_SINGLE 1u /* of the node's own interrupts: input and last mean nothing */

static u8 *node_at(const struct acpi_header *t, u64 at)
{
	u8 *node = (u8 *)t + at;

	if (at < NODES || at + NODE_MIN > t->length)
		return NULL;
	return at + acpi_le(node + 1, 2) <= t->length ? node : NULL;
}

/* The node with index i. NULL: there is none. */
static u8 *node_number(const struct acpi_header *t, u32 i)
{
	u64 at = acpi_le((const u8 *)t + NODES + 4, 4);
	u8 *node = node_at(t, at);

	if (i >= acpi_le((const u8 *)t + NODES, 4))
		return NULL;
	for (; node && i; i--) {
		u64 size = acpi_le(node + 1, 2);

		at += size;
		node = size >= NODE_MIN ? node_at(t, at) : NULL;
	}
	return node;
}

static bool is_smmu(const u8 *node)
{
	return node && (*node == NODE_SMMU || *node == NODE_SMMU_V3);
}

/* The node's mapping with index i. NULL: there is none. */
static struct mapping *mapping_number(const u8 *node, u32 i)
{
	u64 at = acpi_le(node + MAPPINGS + 4, 4) + i * sizeof(struct mapping);

	if (i >= acpi_le(node + MAPPINGS, 4) || at + sizeof(struct mapping) > acpi_le(node + 1, 2))
		return NULL;
	return (struct mapping *)(node + at);
}

/* Where the SMMU leads all IDs of m; NULL if they have no way in common. */
static const struct mapping *way_on(const u8 *smmu, const struct mapping *m)
{
	const struct mapping *on;

	for (u32 i = 0; (on = mapping_number(smmu, i)); i++)
		if (!(on->flags & MAPPING_SINGLE) && m->output >= on->input &&
		    (u64)m->output + m->last <= (u64)on->input + on->last)
			return on;
	return NULL;
}

/* One mapping of a device. False: it cannot be led past the SMMU. */
static bool pass_mapping(const struct acpi_header *t, struct mapping *m, bool change)
{
	const struct mapping *on;

	if (!is_smmu(node_at(t, m->node)))
		return true;
	on = way_on(node_at(t, m->node), m);
	if (!on)
		return false;
	if (change) {
		m->output = on->output + (m->output - on->input);
		m->node = on->node;
	}
	return true;
}

static bool pass_all(const struct acpi_header *t, bool change)
{
	struct mapping *m;
	u8 *node;
	bool all = true;

	if (t->length < NODES + 8)
		return true;
	for (u32 i = 0; (node = node_number(t, i)); i++)
		for (u32 j = 0; !is_smmu(node) && (m = mapping_number(node, j)); j++)
			all &= pass_mapping(t, m, change);
	for (u32 i = 0; change && (node = node_number(t, i)); i++)
		if (is_smmu(node))
			*node = NODE_UNKNOWN;
	return all;
}

bool iort_is_stuck(const struct acpi_header *iort)
{
	return !pass_all(iort, false);
}

void iort_pass_smmus(struct acpi_header *iort)
{
	pass_all(iort, true);
	acpi_seal(iort);
}
