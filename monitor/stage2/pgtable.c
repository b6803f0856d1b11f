/* SPDX-License-Identifier: BSD-2-Clause */
#include "stage2/pgtable.h"
#include "arch/memory.h"
#include "core/pool.h"
#include "lib/errno.h"

struct pgtable stage2;

static u64 *entry_at(u64 table_pa, u32 index)
{
	return (u64 *)arch_ptr(PA(table_pa)) + index;
}

/* One store: the guest's page walkers, which know no lock, see the old entry or the new one. */
static void set_entry(u64 *entry, u64 value)
{
	__atomic_store_n(entry, value, __ATOMIC_RELEASE);
}

static int read_entry(void *ctx, u64 table_pa, u32 index, u64 *entry)
{
	(void)ctx;
	*entry = __atomic_load_n(entry_at(table_pa, index), __ATOMIC_ACQUIRE);
	return 0;
}

static u64 *alloc_table(struct pgtable *s)
{
	u64 *table = pool_alloc(1);

	if (table)
		s->tables++;
	return table;
}

static void free_table(struct pgtable *s, u64 *table)
{
	pool_free(table, 1);
	s->tables--;
}

int pgtable_init(struct pgtable *s, const struct pt_format *format)
{
	u64 *root;

	s->format = format;
	s->tables = 0;
	root = alloc_table(s);
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

	for (i = 0; level > 0 && i < PT_ENTRIES; i++)
		if (f->present(table[i], level) && !f->leaf(table[i], level))
			destroy_table(s, arch_ptr(PA(f->addr(table[i], level))), level - 1);
	free_table(s, table);
}

void pgtable_destroy(struct pgtable *s)
{
	destroy_table(s, arch_ptr(s->root), s->format->top_level);
	s->root = PA(0);
}

/* Map one leaf at ipa, as large as alignment and size allow; returns its level or an error. */
static int map_leaf(struct pgtable *s, u64 ipa, u64 pa, u64 size, u32 attrs)
{
	const struct pt_format *f = s->format;
	u64 table_pa = s->root.v;
	u32 level = f->top_level;

	for (;; level--) {
		u64 *entry = entry_at(table_pa, pt_index(ipa, level));
		bool fits = level <= f->max_leaf_level && size >= PT_LEVEL_SIZE(level) &&
			    !((ipa | pa) & (PT_LEVEL_SIZE(level) - 1));

		if (f->present(*entry, level)) {
			if (level == 0 || f->leaf(*entry, level))
				return -EEXIST;
		} else if (fits) {
			set_entry(entry, f->make_leaf(pa, level, attrs));
			return level;
		} else {
			u64 *table = alloc_table(s);

			if (!table)
				return -ENOMEM;
			set_entry(entry, f->make_table(arch_pa(table).v, level));
		}
		table_pa = f->addr(*entry, level);
	}
}

int pgtable_map(struct pgtable *s, ipa_t ipa, pa_t pa, u64 size, u32 attrs)
{
	u64 done = 0;

	if (((ipa.v | pa.v | size) & ~PAGE_MASK) || !size || !attrs)
		return -EINVAL;
	if (ipa.v + size < ipa.v || pa.v + size < pa.v || !s->format->in_range(ipa.v) ||
	    !s->format->in_range(ipa.v + size - 1))
		return -ERANGE;
	while (done < size) {
		int level = map_leaf(s, ipa.v + done, pa.v + done, size - done, attrs);

		if (level < 0)
			return level;
		done += PT_LEVEL_SIZE(level);
	}
	return 0;
}

int pgtable_lookup(const struct pgtable *s, ipa_t ipa, struct pt_walk *w)
{
	return pt_walk(s->format, s->root.v, ipa.v, read_entry, NULL, w) ? -ENOENT : 0;
}

int pgtable_split(struct pgtable *s, ipa_t ipa)
{
	const struct pt_format *f = s->format;
	struct pt_walk w;
	u64 *table;
	u64 pa;
	u32 i;

	for (;;) {
		if (pgtable_lookup(s, ipa, &w))
			return -ENOENT;
		if (w.level == 0)
			return 0;
		table = alloc_table(s);
		if (!table)
			return -ENOMEM;
		pa = f->addr(w.entry, w.level);
		for (i = 0; i < PT_ENTRIES; i++, pa += PT_LEVEL_SIZE(w.level - 1))
			table[i] = f->make_leaf(pa, w.level - 1, w.attrs);
		/* The release in set_entry() orders the filling before the link. */
		set_entry(entry_at(w.table_pa, w.index), f->make_table(arch_pa(table).v, w.level));
	}
}

int pgtable_set_leaf(struct pgtable *s, ipa_t ipa, pa_t pa, u32 attrs)
{
	struct pt_walk w;
	int err;

	/* A leaf that is not present (attrs 0) can be set again: only its place counts. */
	err = pt_walk(s->format, s->root.v, ipa.v, read_entry, NULL, &w);
	if ((err && err != -ENOENT) || w.level != 0)
		return -ENOENT;
	set_entry(entry_at(w.table_pa, w.index), s->format->make_leaf(pa.v, 0, attrs));
	return 0;
}
