/* SPDX-License-Identifier: BSD-2-Clause */
/* The device tree that the guest sees: a copy of the firmware's, token by token. */
#include "boot/dt.h"
#include "lib/errno.h"
#include "lib/format.h"
#include "lib/string.h"
#include <suture/abi.h>

#define HEADER_SIZE   40u
#define ADDED_SIZE    512u /* more than add_reserved(), add_firmware() and other_name() add */
#define PCI_SPACE(hi) ((hi) >> 24 & 3)
#define PCI_MEMORY    2u /* and above: IEEE 1275's PCI binding, phys.hi */

/* Names of properties that the firmware's tree need not have; they follow its own. */
static const char own_names[] = "#address-cells\0#size-cells\0ranges\0reg\0no-map\0compatible\0"
				"status\0suture,body";

static const char *const disabled[] = {"arm,smmu-v3", "arm,mmu-500", "arm,smmu-v2", "arm,smmu-v1",
				       "arm,sdei-1.0"};

/* What cpu-map has, numbered from 0 without a gap. */
static const char *const map_names[] = {"socket", "cluster", "core", "thread"};

struct build {
	const struct dt *t;
	const struct dt_edit *edit;
	u8 *out; /* the structure block */
	u32 at, room;
	u32 path[DT_DEPTH + 1];
	u32 cpu, cpu_handle; /* the service CPU's node and phandle; 0: none */
	bool has_reserved, has_firmware;
	bool failed;
};

/* ---- writing ---- */

static u8 *put_bytes(struct build *b, const void *p, u32 size)
{
	u8 *to = b->out + b->at;

	if (ALIGN_UP(size, 4u) > b->room - b->at) {
		b->failed = true;
		return NULL;
	}
	memcpy(to, p, size);
	memset(to + size, 0, ALIGN_UP(size, 4u) - size);
	b->at += ALIGN_UP(size, 4u);
	return to;
}

static void store_be32(u8 *p, u32 v)
{
	v = __builtin_bswap32(v);
	memcpy(p, &v, sizeof(v));
}

static void put_word(struct build *b, u32 v)
{
	u8 word[4];

	store_be32(word, v);
	put_bytes(b, word, sizeof(word));
}

static void begin_node(struct build *b, const char *name)
{
	put_word(b, DT_BEGIN_NODE);
	put_bytes(b, name, (u32)strlen(name) + 1);
}

static void end_node(struct build *b)
{
	put_word(b, DT_END_NODE);
}

/* Returns where the value stands now; NULL: no room. */
static u8 *put_prop(struct build *b, u32 name, const void *value, u32 size)
{
	put_word(b, DT_PROP);
	put_word(b, size);
	put_word(b, name);
	return put_bytes(b, value, size);
}

static u32 own_name(const struct build *b, const char *name)
{
	u32 at = 0;

	while (strcmp(own_names + at, name))
		at += (u32)strlen(own_names + at) + 1;
	return b->t->strings_size + at;
}

static void add_string(struct build *b, const char *name, const char *value)
{
	put_prop(b, own_name(b, name), value, (u32)strlen(value) + 1);
}

static void store_cells(u8 *p, u64 v, u32 count)
{
	for (; count; count--, v >>= 32)
		store_be32(p + 4 * (count - 1), (u32)v);
}

static void add_cells(struct build *b, const char *name, u64 v, u32 count)
{
	u8 cells[8];

	store_cells(cells, v, count);
	put_prop(b, own_name(b, name), cells, 4 * count);
}

/* ---- what is left out ---- */

static void find_cpu(struct build *b)
{
	struct dt_walk w = DT_WALK(b->t);
	u64 hwid;

	while (!b->cpu && dt_walk_next(&w))
		if (dt_is_cpu(&w, &hwid) && hwid == b->edit->service_hwid)
			b->cpu = w.node[w.depth];
	if (b->cpu)
		b->cpu_handle = dt_prop_cell(b->t, b->cpu, "phandle", 0);
}

/* Behind the node. */
static u32 skip_node(const struct dt *t, u32 at)
{
	struct dt_prop prop;
	const char *name;
	u32 depth = 0;

	do {
		enum dt_token token = dt_next(t, &at, &name, &prop);

		if (token == DT_END)
			break;
		depth += token == DT_BEGIN_NODE;
		depth -= token == DT_END_NODE;
	} while (depth);
	return at;
}

/* In cpu-map: is it the service CPU's place, or has it no other below it? */
static bool is_only_ours(const struct build *b, u32 node, u32 depth)
{
	u32 at = node, children = 0, start;
	enum dt_token token;
	struct dt_prop prop;
	const char *name;

	if (depth > DT_DEPTH)
		return false;
	if (dt_prop(b->t, node, "cpu", &prop))
		return b->cpu_handle && prop.size == 4 && dt_be32(prop.value) == b->cpu_handle;
	dt_next(b->t, &at, &name, &prop);
	for (start = at; (token = dt_next(b->t, &at, &name, &prop)) != DT_END_NODE; start = at) {
		if (token == DT_END ||
		    (token == DT_BEGIN_NODE && !is_only_ours(b, start, depth + 1)))
			return false;
		if (token == DT_BEGIN_NODE)
			at = skip_node(b->t, start);
		children += token == DT_BEGIN_NODE;
	}
	return children;
}

/* ---- what is changed ---- */

static const char *name_of(const struct build *b, u32 depth)
{
	u32 at = b->path[depth];
	struct dt_prop prop;
	const char *name = "";

	dt_next(b->t, &at, &name, &prop);
	return name;
}

static bool is_at(const struct build *b, u32 depth, const char *top)
{
	return depth == 2 && dt_named(name_of(b, 2), top);
}

static bool is_in_map(const struct build *b, u32 depth)
{
	return depth >= 3 && dt_named(name_of(b, 2), "cpus") && dt_named(name_of(b, 3), "cpu-map");
}

static bool is_disabled(const struct dt *t, u32 node)
{
	for (u32 i = 0; i < ARRAY_SIZE(disabled); i++)
		if (dt_prop_has(t, node, "compatible", disabled[i]))
			return true;
	return false;
}

/* Take what is the monitor's out of a bridge's windows: 3 cells of the bus, the CPU's, the size. */
static void cut_windows(struct build *b, u32 depth, u8 *ranges, u32 size)
{
	u32 cells = dt_prop_cell(b->t, b->path[depth - 1], "#address-cells", 2);
	u32 entry = 4 * (3 + cells + 2);

	for (; ranges && cells <= 2 && size >= entry; ranges += entry, size -= entry) {
		struct boot_range w = {dt_cells(ranges + 12, cells),
				       dt_cells(ranges + 12 + 4 * cells, 2)};
		u64 base = w.base;

		if (PCI_SPACE(dt_be32(ranges)) < PCI_MEMORY || !ranges_cut(&b->edit->claimed, &w))
			continue;
		store_cells(ranges + 4, dt_cells(ranges + 4, 2) + (w.base - base), 2);
		store_cells(ranges + 12, w.base, cells);
		store_cells(ranges + 12 + 4 * cells, w.size, 2);
	}
}

static void copy_prop(struct build *b, u32 depth, const struct dt_prop *prop)
{
	u32 node = b->path[depth];
	bool pci = dt_prop_has(b->t, node, "device_type", "pci");
	u8 *copy;

	if ((pci && !strncmp(prop->name, "iommu-map", 9)) ||
	    (b->cpu && node == b->cpu && !strcmp(prop->name, "device_type")) ||
	    (!strcmp(prop->name, "status") && is_disabled(b->t, node)))
		return;
	copy = put_prop(b, (u32)(prop->name - b->t->strings), prop->value, prop->size);
	if (pci && depth > 1 && !strcmp(prop->name, "ranges"))
		cut_windows(b, depth, copy, prop->size);
}

/* ---- what is added ---- */

static void add_reserved(struct build *b, u32 address_cells, u32 size_cells)
{
	const struct boot_range *m = &b->edit->memory;
	char name[32];
	u8 reg[16];

	if (address_cells > 2 || size_cells > 2) {
		b->failed = true;
		return;
	}
	format(name, sizeof(name), "suture@%llx", m->base);
	begin_node(b, name);
	store_cells(reg, m->base, address_cells);
	store_cells(reg + 4 * address_cells, m->size, size_cells);
	put_prop(b, own_name(b, "reg"), reg, 4 * (address_cells + size_cells));
	put_prop(b, own_name(b, "no-map"), reg, 0);
	end_node(b);
}

static void add_firmware(struct build *b)
{
	begin_node(b, "suture");
	add_string(b, "compatible", SUTURE_DT_COMPATIBLE);
	add_cells(b, "suture,body", b->edit->body.v, 2);
	end_node(b);
}

/* The nodes that the tree has not, below the root. */
static void add_missing(struct build *b)
{
	if (!b->has_reserved) {
		begin_node(b, "reserved-memory");
		add_cells(b, "#address-cells", 2, 1);
		add_cells(b, "#size-cells", 2, 1);
		put_prop(b, own_name(b, "ranges"), "", 0);
		add_reserved(b, 2, 2);
		end_node(b);
	}
	if (!b->has_firmware) {
		begin_node(b, "firmware");
		add_firmware(b);
		end_node(b);
	}
}

/* At the end of a node. */
static void add_children(struct build *b, u32 depth)
{
	u32 node = b->path[depth];

	if (depth == 1)
		add_missing(b);
	if (is_at(b, depth, "reserved-memory")) {
		b->has_reserved = true;
		add_reserved(b, dt_prop_cell(b->t, node, "#address-cells", 2),
			     dt_prop_cell(b->t, node, "#size-cells", 1));
	}
	if (is_at(b, depth, "firmware")) {
		b->has_firmware = true;
		add_firmware(b);
	}
}

/* ---- the copy ---- */

/* The name in cpu-map of the next child: its kind, and how many of it there are already. */
static const char *map_name(const char *name, u32 *counts, char *buf, size_t size)
{
	for (u32 i = 0; i < ARRAY_SIZE(map_names); i++) {
		if (strncmp(name, map_names[i], strlen(map_names[i])))
			continue;
		format(buf, size, "%s%u", map_names[i], counts[i]++);
		return buf;
	}
	return name;
}

/* Of a CPU that is none any more. Others may name it (interrupt-affinity), and fail without it. */
static const char *other_name(const char *name, char *buf, size_t size)
{
	format(buf, size, "suture-%s", name);
	return buf;
}

/* Copy the node at offset `at`, under this name. Returns the offset behind it. */
static u32 copy_node(struct build *b, u32 at, u32 depth, const char *name)
{
	u32 counts[ARRAY_SIZE(map_names)] = {0}, start;
	enum dt_token token;
	struct dt_prop prop;
	char renamed[32];
	const char *child;

	if (depth > DT_DEPTH) {
		b->failed = true;
		return b->t->nodes_size;
	}
	b->path[depth] = at;
	begin_node(b, name);
	if (is_disabled(b->t, at))
		add_string(b, "status", "disabled");
	dt_next(b->t, &at, &child, &prop);
	for (start = at; (token = dt_next(b->t, &at, &child, &prop)) != DT_END_NODE; start = at) {
		if (token == DT_END) {
			b->failed = true;
			return at;
		}
		bool mapped = token == DT_BEGIN_NODE && is_in_map(b, depth);
		if (token == DT_PROP) {
			copy_prop(b, depth, &prop);
		} else if (mapped && is_only_ours(b, start, depth + 1)) {
			at = skip_node(b->t, start);
		} else {
			if (mapped)
				child = map_name(child, counts, renamed, sizeof(renamed));
			else if (start == b->cpu)
				child = other_name(child, renamed, sizeof(renamed));
			at = copy_node(b, start, depth + 1, child);
		}
	}
	add_children(b, depth);
	end_node(b);
	return at;
}

size_t dt_build_size(const struct dt *t)
{
	return HEADER_SIZE + (size_t)t->reserved_size + t->nodes_size + t->strings_size +
	       sizeof(own_names) + ADDED_SIZE;
}

/* The header's words in their order (5.2), and the blocks that do not change. */
static u32 finish_tree(const struct build *b, u8 *out)
{
	const struct dt *t = b->t;
	u32 nodes = HEADER_SIZE + t->reserved_size, strings = nodes + b->at;
	u32 strings_size = t->strings_size + (u32)sizeof(own_names);
	u32 words[] = {strings + strings_size, nodes, strings, HEADER_SIZE, 17, 16};

	memcpy(out, t->blob, HEADER_SIZE);
	for (u32 i = 0; i < ARRAY_SIZE(words); i++)
		store_be32(out + 4 + 4 * i, words[i]);
	store_be32(out + 32, strings_size);
	store_be32(out + 36, b->at);
	memcpy(out + HEADER_SIZE, t->blob + dt_be32(t->blob + 16), t->reserved_size);
	memcpy(out + strings, t->strings, t->strings_size);
	memcpy(out + strings + t->strings_size, own_names, sizeof(own_names));
	return strings + strings_size;
}

int dt_build(const struct dt *t, const struct dt_edit *edit, void *buf, size_t size)
{
	struct build b = {
		.t = t,
		.edit = edit,
		.out = (u8 *)buf + HEADER_SIZE + t->reserved_size,
		.room = t->nodes_size + ADDED_SIZE,
	};

	if (size < dt_build_size(t))
		return -EINVAL;
	find_cpu(&b);
	copy_node(&b, 0, 1, "");
	put_word(&b, DT_END);
	return b.failed ? -EINVAL : (int)finish_tree(&b, buf);
}
