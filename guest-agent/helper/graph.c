// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which object's functions can reach a place: a graph of the payload's functions and variables
 * (nodes), whose edges are its relocations, and branches that need none. The bytes between
 * two symbols are a node of their own. An owner only rises, from none to one object to all, so that
 * the work is linear in the edges.
 */
#include <stdlib.h>
#include <string.h>
#include "helper.h"

struct node {
	uint32_t section;
	unsigned int owner;
	uint64_t from, to;
};

struct edge {
	uint32_t from, to;
};

struct graph {
	struct node *nodes; /* by section and offset, without holes; then one for each section,
			       which stands for all that is in it */
	size_t nr_nodes;
	struct edge *edges; /* by from */
	size_t nr_edges, max_edges;
	size_t *first; /* edge of each node, and an end */
	uint32_t *work;
	size_t nr_work;
	bool no_memory;
};

#define NO_NODE (~(size_t)0)

static size_t section_node(const struct graph *g, uint32_t section)
{
	return g->nr_nodes + section;
}

/* ---- nodes ---- */

static int by_start(const void *a, const void *b)
{
	const struct node *x = a, *y = b;

	if (x->section != y->section)
		return x->section < y->section ? -1 : 1;
	return x->from < y->from ? -1 : x->from > y->from;
}

/* The symbols with a size that lie within a loaded section. */
static size_t symbol_nodes(const struct module *m, struct node *nodes)
{
	size_t count = 0;

	for (size_t i = 1; i < m->nr_symbols; i++) {
		const Elf64_Sym *s = &m->symbols[i];
		uint64_t size;

		if (s->st_shndx == SHN_UNDEF || s->st_shndx >= SHN_LORESERVE || !s->st_size ||
		    !module_is_loaded(&m->sections[s->st_shndx]))
			continue;
		size = m->sections[s->st_shndx].header.sh_size;
		if (s->st_value >= size)
			continue;
		nodes[count++] = (struct node){
			.section = s->st_shndx,
			.from = s->st_value,
			.to = s->st_size < size - s->st_value ? s->st_value + s->st_size : size};
	}
	qsort(nodes, count, sizeof(*nodes), by_start);
	return count;
}

static unsigned int gap_owner(const struct section *s, const struct table *table)
{
	/* code without a name may run for any object */
	return module_is_code(s) || !(table->flags & (TABLE_FOLLOWS | TABLE_PASSIVE))
		       ? OWNER_ALL
		       : OWNER_NOBODY;
}

static void add_node(struct graph *g, uint32_t section, uint64_t from, uint64_t to,
		     unsigned int owner)
{
	if (from < to)
		g->nodes[g->nr_nodes++] =
			(struct node){.section = section, .owner = owner, .from = from, .to = to};
}

/* The section's symbols, of which those that overlap are one node, and what is between them. */
static size_t add_section(struct graph *g, const struct module *m, uint32_t section,
			  const struct node *symbols, size_t count)
{
	const struct section *s = &m->sections[section];
	const struct table *table = table_find(s->name);
	unsigned int owner =
		table->flags & (TABLE_FOLLOWS | TABLE_PASSIVE) ? OWNER_NOBODY : OWNER_ALL;
	uint64_t end = 0;
	size_t i = 0;

	while (i < count && symbols[i].section == section) {
		uint64_t from = symbols[i].from, to = symbols[i].to;

		for (i++; i < count && symbols[i].section == section && symbols[i].from < to; i++)
			to = symbols[i].to > to ? symbols[i].to : to;
		add_node(g, section, end, from, gap_owner(s, table));
		add_node(g, section, from, to, owner);
		end = to;
	}
	add_node(g, section, end, s->header.sh_size, gap_owner(s, table));
	return i;
}

static void make_nodes(struct graph *g, const struct module *m)
{
	struct node *symbols = calloc(m->nr_symbols + 1, sizeof(*symbols));
	size_t count, done = 0;

	g->nodes = calloc(2 * m->nr_symbols + 2 * m->nr_sections + 1, sizeof(*g->nodes));
	if (!symbols || !g->nodes) {
		g->no_memory = true;
		goto out;
	}
	count = symbol_nodes(m, symbols);
	for (uint32_t i = 0; i < m->nr_sections; i++) {
		if (module_is_loaded(&m->sections[i]))
			done += add_section(g, m, i, symbols + done, count - done);
	}
	/* behind them those that stand for sections: zeros, as calloc() made them */
out:
	free(symbols);
}

static size_t find_node(const struct graph *g, struct place at)
{
	size_t low = 0, high = g->nr_nodes;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct node *n = &g->nodes[middle];

		if (n->section < at.section || (n->section == at.section && n->to <= at.offset))
			low = middle + 1;
		else
			high = middle;
	}
	if (low == g->nr_nodes || g->nodes[low].section != at.section ||
	    at.offset < g->nodes[low].from)
		return NO_NODE;
	return low;
}

/* ---- edges ---- */

static void add_edge(struct graph *g, size_t from, size_t to)
{
	if (from == NO_NODE || to == NO_NODE || from == to || g->no_memory)
		return;
	if (g->nr_edges == g->max_edges) {
		size_t max = 2 * g->max_edges;
		struct edge *edges = realloc(g->edges, max * sizeof(*edges));

		if (!edges) {
			g->no_memory = true;
			return;
		}
		g->edges = edges;
		g->max_edges = max;
	}
	g->edges[g->nr_edges++] = (struct edge){(uint32_t)from, (uint32_t)to};
}

/* The bytes of its target that the reference may mean. */
static struct span span_of(const struct module *m, const struct reloc *r, struct place target)
{
	const struct section *s = &m->sections[r->section];
	const struct reloc_kind *kind = arch_kind(m->arch, (uint32_t)ELF64_R_TYPE(r->rela->r_info));

	if (!module_is_code(s) || !s->bytes || !kind)
		return (struct span){0, 0, false};
	return m->arch->code_span(kind, s->bytes + r->rela->r_offset, r->rela->r_offset,
				  module_is_code(&m->sections[target.section]));
}

static void add_reference(struct graph *g, const struct module *m, const struct reloc *r)
{
	const Elf64_Sym *symbol = &m->symbols[ELF64_R_SYM(r->rela->r_info)];
	size_t from = find_node(g, (struct place){r->section, r->rela->r_offset});
	struct place target = module_target(m, r);
	struct span span;

	if (!target.section || !module_is_loaded(&m->sections[target.section]))
		return;
	if (symbol->st_size) { /* it is named: the addend is within it, or counts from it */
		add_edge(g, from, find_node(g, (struct place){symbol->st_shndx, symbol->st_value}));
		return;
	}
	span = span_of(m, r, target);
	for (int offset = span.first; offset <= span.last; offset += 4)
		add_edge(g, from,
			 find_node(g, (struct place){target.section,
						     target.offset + (uint64_t)(int64_t)offset}));
	if (span.section)
		add_edge(g, from, section_node(g, target.section));
}

/* Behind an opcode, which has two bytes at most, a field begins that its relocation fills in. */
static bool is_relocated(const bool *fields, uint64_t at)
{
	return fields[at] || fields[at + 1] || fields[at + 2];
}

/* Branches that need no relocation: to functions of the same section. */
static void add_branches(struct graph *g, const struct module *m, uint32_t section)
{
	const struct section *s = &m->sections[section];
	uint64_t size = s->header.sh_size;
	bool *fields = calloc(size + 2, sizeof(*fields));

	g->no_memory |= !fields;
	for (size_t i = 0; fields && i < m->nr_relocs; i++)
		if (m->relocs[i].section == section && m->relocs[i].rela->r_offset < size)
			fields[m->relocs[i].rela->r_offset] = true;
	for (uint64_t at = 0; fields && at < size; at += m->arch->insn_align) {
		bool weak;
		int64_t by = m->arch->branch(s->bytes + at, size - at, &weak);
		size_t to;

		if (!by || is_relocated(fields, at))
			continue;
		to = find_node(g, (struct place){section, at + (uint64_t)by});
		if (to != NO_NODE && (!weak || g->nodes[to].from == at + (uint64_t)by))
			add_edge(g, find_node(g, (struct place){section, at}), to);
	}
	free(fields);
}

static int by_from(const void *a, const void *b)
{
	const struct edge *x = a, *y = b;

	return x->from < y->from ? -1 : x->from > y->from;
}

static void make_edges(struct graph *g, const struct module *m, const struct patch *p)
{
	size_t all = g->nr_nodes + m->nr_sections, e = 0;

	g->max_edges = m->nr_relocs + 1;
	g->edges = calloc(g->max_edges, sizeof(*g->edges));
	g->no_memory = !g->edges;
	for (size_t i = 0; i < m->nr_relocs; i++) {
		const struct reloc *r = &m->relocs[i];
		struct place at = {r->section, r->rela->r_offset};

		if (!(table_find(m->sections[r->section].name)->flags & TABLE_PASSIVE) &&
		    !patch_has(p, at))
			add_reference(g, m, r);
	}
	for (uint32_t i = 0; i < m->nr_sections; i++) {
		if (module_is_code(&m->sections[i]) && m->sections[i].bytes)
			add_branches(g, m, i);
	}
	for (size_t i = 0; i < g->nr_nodes; i++)
		add_edge(g, section_node(g, g->nodes[i].section), i);
	if (g->no_memory)
		return;
	qsort(g->edges, g->nr_edges, sizeof(*g->edges), by_from);
	g->first = calloc(all + 1, sizeof(*g->first));
	g->work = calloc(2 * all + 1, sizeof(*g->work));
	if (!g->first || !g->work) {
		g->no_memory = true;
		return;
	}
	for (size_t i = 0; i <= all; i++) {
		while (e < g->nr_edges && g->edges[e].from < i)
			e++;
		g->first[i] = e;
	}
}

/* ---- owners ---- */

static void raise_owner(struct graph *g, size_t node, unsigned int owner)
{
	struct node *n;

	if (node == NO_NODE || owner == OWNER_NOBODY)
		return;
	n = &g->nodes[node];
	if (n->owner == owner || n->owner == OWNER_ALL)
		return;
	n->owner = n->owner == OWNER_NOBODY ? owner : OWNER_ALL;
	g->work[g->nr_work++] = (uint32_t)node;
}

static void spread(struct graph *g)
{
	while (g->nr_work) {
		size_t node = g->work[--g->nr_work];

		for (size_t e = g->first[node]; e < g->first[node + 1]; e++)
			raise_owner(g, g->edges[e].to, g->nodes[node].owner);
	}
}

static void start(struct graph *g, const struct module *m, const struct patch *p)
{
	for (size_t i = 0; i < g->nr_nodes; i++) {
		if (g->nodes[i].owner == OWNER_ALL)
			g->work[g->nr_work++] = (uint32_t)i;
	}
	for (size_t i = 0; i < p->nr_roots; i++)
		raise_owner(g, find_node(g, p->roots[i].at), OWNER_OBJECT + p->roots[i].object);
	if (p->states.section && module_is_loaded(&m->sections[p->states.section]))
		raise_owner(g, find_node(g, p->states), OWNER_ALL);
}

struct graph *graph_make(const struct module *m, const struct patch *p)
{
	struct graph *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	make_nodes(g, m);
	if (!g->no_memory)
		make_edges(g, m, p);
	if (g->no_memory) {
		graph_free(g);
		return NULL;
	}
	start(g, m, p);
	spread(g);
	return g;
}

void graph_free(struct graph *g)
{
	if (!g)
		return;
	free(g->nodes);
	free(g->edges);
	free(g->first);
	free(g->work);
	free(g);
}

unsigned int graph_owner(const struct graph *g, struct place at)
{
	size_t node = find_node(g, at);

	return node == NO_NODE ? OWNER_ALL : g->nodes[node].owner;
}
