/* SPDX-License-Identifier: BSD-2-Clause */
#include "stage2/pgtable.h"
#include "arch/memory.h"
#include "arch/publish.h"
#include "core/pool.h"
#include "lib/errno.h"
#include "lib/mutate.h"

/* The maximal number of tables in the root (Arm ARM D8.2). */
#define MAX_ROOT_TABLES 16u

struct pgtable stage2;

static u64 *entry_at(u64 table_pa, u32 index)
{
	return (u64 *)arch_ptr(PA(table_pa)) + index;
}

static int read_entry(void *ctx, u64 table_pa, u32 index, u64 *entry)
{
	(void)ctx;
	*entry = __atomic_load_n(entry_at(table_pa, index), __ATOMIC_ACQUIRE);
	return 0;
}

/* ---- memory ---- */

/* Allocate `pages` pages, a power of two, aligned to their total size. */
static void *alloc_aligned(size_t pages)
{
	size_t surplus = pages - 1, before;
	u8 *p = pool_alloc(pages + surplus);

	if (!p || !surplus)
		return p;
	before = (-arch_pa(p).v / PAGE_SIZE) & surplus;
	if (before)
		pool_free(p, before);
	p += before * PAGE_SIZE;
	if (before < surplus)
		pool_free(p + pages * PAGE_SIZE, surplus - before);
	return p;
}

/*
 * The number of pool pages in a table of this level: the root may be smaller or larger than the
 * others.
 */
static size_t table_pages(const struct pt_format *f, u32 level)
{
	return MAX(pt_entries(f, level) * sizeof(u64) / PAGE_SIZE, 1u);
}

void *pgtable_page_alloc(const struct pt_format *f)
{
	return alloc_aligned(pt_level_size(f, 0) / PAGE_SIZE);
}

void pgtable_page_free(const struct pt_format *f, void *page)
{
	pool_free(page, pt_level_size(f, 0) / PAGE_SIZE);
}

static u64 *alloc_table(struct pgtable *s, u32 level)
{
	u64 *table = alloc_aligned(table_pages(s->format, level));

	if (!table)
		return NULL;
	/* Stage 2 is in force whatever the service CPU does. */
	pool_keep(table, table_pages(s->format, level));
	s->tables += table_pages(s->format, level);
	return table;
}

static void free_table(struct pgtable *s, u64 *table, u32 level)
{
	pool_free(table, table_pages(s->format, level));
	s->tables -= table_pages(s->format, level);
}

int pgtable_init(struct pgtable *s, const struct pt_format *format)
{
	u64 *root;

	if (pt_entries(format, format->top_level) >> (format->page_shift - 3) > MAX_ROOT_TABLES)
		return -EINVAL;
	s->format = format;
	s->tables = 0;
	root = alloc_table(s, format->top_level);
	if (!root)
		return -ENOMEM;
	s->root = arch_pa(root);
	return 0;
}

/* Depth-first; never deeper than the format has levels. */
static void destroy_table(struct pgtable *s, u64 *table, u32 level)
{
	const struct pt_format *f = s->format;
	u32 i;

	for (i = 0; level > 0 && i < pt_entries(f, level); i++)
		if (f->present(table[i], level) && !f->leaf(table[i], level))
			destroy_table(s, arch_ptr(PA(f->addr(table[i], level))), level - 1);
	free_table(s, table, level);
}

void pgtable_destroy(struct pgtable *s)
{
	destroy_table(s, arch_ptr(s->root), s->format->top_level);
	s->root = PA(0);
}

/* ---- entries ---- */

/* No format can express writing without reading; some can express executing without reading. */
static bool can_express(const struct pt_format *f, u32 attrs)
{
	return (attrs & PT_READ) || ((attrs & ~PT_DEVICE) == PT_EXEC && f->exec_only) ||
	       MUTATION(exec_only_leaves);
}

/* Link a table that is complete: filled, or empty. */
static void link_table(const struct pgtable *s, u64 *entry, u64 *table, u32 level)
{
	if (!MUTATION(publish_table))
		arch_publish_table(table, pt_level_size(s->format, 0));
	arch_write_entry(entry, s->format->make_table(arch_pa(table).v, level));
}

/*
 * Make the entry for addr invalid before it is replaced. It may be invalid already: the CPU that
 * made it so may not have invalidated the TLBs yet.
 */
static void break_entry(const struct pgtable *s, u64 *entry, u64 addr, u32 level)
{
	u64 size = pt_level_size(s->format, level);

	if (!s->format->invalidate)
		return;
	if (!MUTATION(break_before_make))
		arch_write_entry(entry, 0);
	if (!MUTATION(invalidate_before_make))
		s->format->invalidate(ALIGN_DOWN(addr, size), size);
}

/* Map one leaf at ipa, as large as alignment and size allow; returns its level or an error. */
static int map_leaf(struct pgtable *s, u64 ipa, u64 pa, u64 size, u32 attrs)
{
	const struct pt_format *f = s->format;
	u64 table_pa = s->root.v;
	u32 level = f->top_level;

	for (;; level--) {
		u64 *entry = entry_at(table_pa, pt_index(f, ipa, level));
		u64 span = pt_level_size(f, level);
		bool fits =
			level <= f->max_leaf_level && size >= span && !((ipa | pa) & (span - 1));

		if (f->present(*entry, level)) {
			if (level == 0 || f->leaf(*entry, level))
				return -EEXIST;
		} else if (fits) {
			arch_write_entry(entry, f->make_leaf(pa, level, attrs));
			return (int)level;
		} else {
			u64 *table = alloc_table(s, level - 1);

			if (!table)
				return -ENOMEM;
			link_table(s, entry, table, level);
		}
		table_pa = f->addr(*entry, level);
	}
}

int pgtable_map(struct pgtable *s, ipa_t ipa, pa_t pa, u64 size, u32 attrs)
{
	u64 done = 0;

	if (((ipa.v | pa.v | size) & (pt_level_size(s->format, 0) - 1)) || !size || !attrs)
		return -EINVAL;
	if (!can_express(s->format, attrs))
		return -EOPNOTSUPP;
	if (ipa.v + size < ipa.v || pa.v + size < pa.v || !s->format->in_range(ipa.v) ||
	    !s->format->in_range(ipa.v + size - 1))
		return -ERANGE;
	while (done < size) {
		int level = map_leaf(s, ipa.v + done, pa.v + done, size - done, attrs);

		if (level < 0)
			return level;
		done += pt_level_size(s->format, (u32)level);
	}
	return 0;
}

int pgtable_lookup(const struct pgtable *s, ipa_t ipa, struct pt_walk *w)
{
	return pt_walk(s->format, s->root.v, ipa.v, read_entry, NULL, w) ? -ENOENT : 0;
}

/* ---- splitting ---- */

/* A block, and the table that takes its place. */
struct split {
	const struct pgtable *s;
	u64 addr;
	u32 level;
	u64 *entry, *table;
};

/* Make a table of leaves with the same translation as the block. */
static u64 *make_leaves(struct pgtable *s, const struct pt_walk *w)
{
	const struct pt_format *f = s->format;
	u64 *table = alloc_table(s, w->level - 1);
	u64 pa = f->addr(w->entry, w->level);
	u32 i;

	for (i = 0; table && i < pt_entries(f, w->level - 1); i++)
		table[i] = f->make_leaf(pa + i * pt_level_size(f, w->level - 1), w->level - 1,
					w->attrs);
	return table;
}

static void link_split(void *arg)
{
	struct split *split = arg;
	const struct pt_format *f = split->s->format;

	/* Another CPU has done it: the table that it linked is in use, and stays. */
	if (f->present(*split->entry, split->level) && !f->leaf(*split->entry, split->level))
		return;
	if (f->split == PT_SPLIT_PAUSED)
		break_entry(split->s, split->entry, split->addr, split->level);
	link_table(split->s, split->entry, split->table, split->level);
}

static int split_block(struct pgtable *s, u64 addr, const struct pt_walk *w, pgtable_alone_fn alone)
{
	/*
	 * Static, since another CPU may carry the split out after this call; only one is in
	 * progress at a time.
	 */
	static struct split split;
	int err = 0;

	split = (struct split){s, addr, w->level, entry_at(w->table_pa, w->index),
			       make_leaves(s, w)};
	if (!split.table)
		return -ENOMEM;
	if (s->format->split == PT_SPLIT_PAUSED && alone && !MUTATION(split_in_a_pause))
		err = alone(link_split, &split);
	else
		link_split(&split);
	if (err)
		free_table(s, split.table, w->level - 1);
	return err;
}

int pgtable_split(struct pgtable *s, ipa_t ipa, pgtable_alone_fn alone)
{
	struct pt_walk w;
	int err = 0;

	while (!err) {
		if (pgtable_lookup(s, ipa, &w))
			return -ENOENT;
		if (w.level == 0)
			return 0;
		err = split_block(s, ipa.v, &w, alone);
	}
	return err;
}

/* ---- leaves ---- */

u64 *pgtable_leaf(const struct pgtable *s, ipa_t ipa)
{
	struct pt_walk w;
	/* A leaf that is not present (attrs 0) can be set again: only its place counts. */
	int err = pt_walk(s->format, s->root.v, ipa.v, read_entry, NULL, &w);

	return (err && err != -ENOENT) || w.level != 0 ? NULL : entry_at(w.table_pa, w.index);
}

static void write_leaf(struct pgtable *s, u64 *leaf, u64 ipa, u64 pa, u32 level, u32 attrs)
{
	u64 value = s->format->make_leaf(pa, level, attrs);

	if (value != __atomic_load_n(leaf, __ATOMIC_ACQUIRE))
		break_entry(s, leaf, ipa, level);
	arch_write_entry(leaf, value);
}

/* With the type that this memory has now, where the format knows types. */
static u32 with_type(const struct pgtable *s, u64 pa, u32 attrs)
{
	u64 end;

	if (!s->format->memory_type || !(attrs & PT_EXEC))
		return attrs;
	return (attrs & ~PT_DEVICE) | s->format->memory_type(pa, &end);
}

void pgtable_write_leaf(struct pgtable *s, u64 *leaf, ipa_t ipa, pa_t pa, u32 attrs)
{
	write_leaf(s, leaf, ipa.v, pa.v, 0, with_type(s, pa.v, attrs));
}

/* ---- memory types ---- */

/* The leaf that maps *at, which becomes its begin, and in *next its end. False: nothing does. */
static bool leaf_of(const struct pgtable *s, u64 *at, u64 *next, struct pt_walk *w)
{
	bool mapped = !pgtable_lookup(s, IPA(*at), w);
	u64 size = pt_level_size(s->format, w->level);

	*next = ALIGN_DOWN(*at, size) + size;
	if (mapped)
		*at = ALIGN_DOWN(*at, size);
	return mapped && (w->attrs & PT_EXEC);
}

static u64 pa_of_leaf(const struct pgtable *s, const struct pt_walk *w)
{
	return s->format->addr(w->entry, w->level);
}

int pgtable_split_types(struct pgtable *s, u64 begin, u64 end, pgtable_alone_fn alone)
{
	int err = 0;
	bool differ = false;

	for (u64 at = begin, next; at < end && !err; at = next) {
		struct pt_walk w;
		u64 pa, type_end;
		u32 type;

		if (!leaf_of(s, &at, &next, &w))
			continue;
		pa = pa_of_leaf(s, &w);
		type = s->format->memory_type(pa, &type_end);
		if (type_end - pa < next - at) {
			err = pgtable_split(s, IPA(at + (type_end - pa)), alone);
			next = at;
		} else if ((w.attrs & PT_DEVICE) != type) {
			differ = true;
		}
	}
	return err ? err : differ;
}

void pgtable_retype(struct pgtable *s, u64 begin, u64 end)
{
	for (u64 at = begin, next; at < end; at = next) {
		struct pt_walk w;
		u64 pa;

		if (!leaf_of(s, &at, &next, &w))
			continue;
		pa = pa_of_leaf(s, &w);
		write_leaf(s, entry_at(w.table_pa, w.index), at, pa, w.level,
			   with_type(s, pa, w.attrs));
	}
}
