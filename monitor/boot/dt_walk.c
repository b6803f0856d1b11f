/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/dt_walk.h"
#include "lib/string.h"

u32 dt_be32(const void *p)
{
	u32 v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap32(v);
}

u64 dt_cells(const u8 *p, u32 count)
{
	u64 v = 0;

	for (; count; count--, p += 4)
		v = v << 32 | dt_be32(p);
	return v;
}

/* `size` bytes at *at, which moves behind them and their padding; NULL if they are not all there.
 */
static const u8 *take_bytes(const struct dt *t, u32 *at, u32 size)
{
	const u8 *p = t->nodes + *at;

	if (*at > t->nodes_size || size > t->nodes_size - *at)
		return NULL;
	*at += ALIGN_UP(size, 4u);
	return p;
}

static bool take_name(const struct dt *t, u32 *at, const char **name)
{
	const char *text = (const char *)t->nodes + *at;
	size_t room = *at < t->nodes_size ? t->nodes_size - *at : 0;
	size_t len = strnlen(text, room);

	*name = text;
	return len < room && take_bytes(t, at, (u32)len + 1);
}

static bool take_prop(const struct dt *t, u32 *at, struct dt_prop *prop)
{
	const u8 *head = take_bytes(t, at, 8);
	u32 name = head ? dt_be32(head + 4) : 0;

	if (!head || name >= t->strings_size ||
	    strnlen(t->strings + name, t->strings_size - name) == t->strings_size - name)
		return false;
	prop->name = t->strings + name;
	prop->size = dt_be32(head);
	prop->value = take_bytes(t, at, prop->size);
	return prop->value;
}

enum dt_token dt_next(const struct dt *t, u32 *at, const char **name, struct dt_prop *prop)
{
	const u8 *p;
	u32 token = DT_NOP;

	while (token == DT_NOP && (p = take_bytes(t, at, 4)))
		token = dt_be32(p);
	if (token == DT_BEGIN_NODE)
		return take_name(t, at, name) ? DT_BEGIN_NODE : DT_END;
	if (token == DT_PROP)
		return take_prop(t, at, prop) ? DT_PROP : DT_END;
	return token == DT_END_NODE ? DT_END_NODE : DT_END;
}

bool dt_walk_next(struct dt_walk *w)
{
	struct dt_prop prop;

	for (;;) {
		u32 at = w->at;

		switch (dt_next(w->t, &w->at, &w->name, &prop)) {
		case DT_BEGIN_NODE:
			if (w->depth == DT_DEPTH)
				return false;
			w->node[++w->depth] = at;
			return true;
		case DT_END_NODE:
			if (!w->depth)
				return false;
			w->depth--;
			break;
		case DT_PROP:
			break;
		default:
			return false;
		}
	}
}

bool dt_prop(const struct dt *t, u32 node, const char *name, struct dt_prop *prop)
{
	const char *node_name;

	dt_next(t, &node, &node_name, prop);
	while (dt_next(t, &node, &node_name, prop) == DT_PROP)
		if (!strcmp(prop->name, name))
			return true;
	return false;
}

u32 dt_prop_cell(const struct dt *t, u32 node, const char *name, u32 otherwise)
{
	struct dt_prop prop;

	return dt_prop(t, node, name, &prop) && prop.size == 4 ? dt_be32(prop.value) : otherwise;
}

bool dt_prop_has(const struct dt *t, u32 node, const char *name, const char *string)
{
	size_t size = strlen(string) + 1;
	struct dt_prop prop;

	if (!dt_prop(t, node, name, &prop))
		return false;
	for (u32 at = 0; at + size <= prop.size;) {
		const char *text = (const char *)prop.value + at;

		if (!memcmp(text, string, size))
			return true;
		at += (u32)strnlen(text, prop.size - at) + 1;
	}
	return false;
}

bool dt_named(const char *name, const char *wanted)
{
	size_t len = strlen(wanted);

	return !strncmp(name, wanted, len) && (!name[len] || name[len] == '@');
}

static const char *name_of(const struct dt *t, u32 node)
{
	struct dt_prop prop;
	const char *name = "";

	dt_next(t, &node, &name, &prop);
	return name;
}

bool dt_is_cpu(const struct dt_walk *w, u64 *hwid)
{
	u32 node = w->node[w->depth], cells;
	struct dt_prop reg;

	if (w->depth != 3 || strcmp(name_of(w->t, w->node[2]), "cpus") ||
	    !dt_prop_has(w->t, node, "device_type", "cpu") || !dt_prop(w->t, node, "reg", &reg))
		return false;
	cells = dt_prop_cell(w->t, w->node[2], "#address-cells", 2);
	if (reg.size < 4 * cells)
		return false;
	*hwid = dt_cells(reg.value, cells);
	return true;
}
