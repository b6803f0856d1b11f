// SPDX-License-Identifier: GPL-2.0-only
/* Looking up symbols by name, many at a time: one pass over 200,000 of them is slow enough. */
#include <linux/bitmap.h>
#include <linux/bsearch.h>
#include <linux/kallsyms.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/string.h>
#include "agent.h"
#include "compat.h"
#include "kept.h"

#define EXPORT_PREFIX "__ksymtab_"

#define NR_HEADS 1024

/* Up to so many names are looked up one by one, where the kernel can: faster than a pass. */
#define FEW_NAMES 256

/* Symbols of so many modules are looked up in these alone. */
#define FEW_MODULES 8

/* All symbols of vmlinux that are parts or clones. NULL: each look-up takes a pass. */
static struct kept *pieces;

struct index {
	struct symbol **sorted; /* by name; equal names are adjacent */
	unsigned int count;
	DECLARE_BITMAP(heads, NR_HEADS); /* that wanted names have: most others end there */
	symbol_part_fn fn;
	void *data;
	struct kept *keep; /* what is found of its names is added; NULL: nothing is */
};

static int by_name(const void *a, const void *b)
{
	return strcmp((*(struct symbol *const *)a)->name, (*(struct symbol *const *)b)->name);
}

static int key_to_name(const void *key, const void *entry)
{
	return strcmp(key, (*(struct symbol *const *)entry)->name);
}

/* The first two characters of a name, or of the function that it is a part of. */
static unsigned int head_of(const char *name)
{
	u8 second = !name[0] || name[1] == '.' ? 0 : name[1];

	return ((u8)name[0] * 37 + second) % NR_HEADS;
}

/* The first of the symbols of that name; the others follow. */
static struct symbol **first_of(const struct index *index, const char *name)
{
	struct symbol **s = bsearch(name, index->sorted, index->count, sizeof(*s), key_to_name);

	while (s && s > index->sorted && !strcmp(s[-1]->name, name))
		s--;
	return s;
}

#define for_each_of(s, index, wanted)                                                              \
	for (s = first_of(index, wanted);                                                          \
	     s && s < (index)->sorted + (index)->count && !strcmp((*s)->name, wanted); s++)

static void match_piece(const struct index *index, const char *object, const char *name, size_t len,
			unsigned long address)
{
	char base[KSYM_NAME_LEN];
	struct symbol **s;

	if (!len || len >= sizeof(base))
		return;
	memcpy(base, name, len);
	base[len] = 0;
	for_each_of(s, index, base)
	{
		if ((*s)->object && same_object_name((*s)->object, object))
			index->fn(index->data, *s, name, address);
	}
}

/* A part of a clone is a piece of both, name.isra.0.part.1 of name and of name.isra.0. */
static void match_pieces(const struct index *index, const char *object, const char *name,
			 unsigned long address)
{
	const char *dot;

	for (dot = strchr(name, '.'); dot; dot = strchr(dot + 1, '.')) {
		if (kept_is_suffix(dot))
			match_piece(index, object, name, dot - name, address);
	}
}

static void match_name(const struct index *index, const char *object, const char *name,
		       unsigned long address)
{
	struct symbol **s;

	for_each_of(s, index, name)
	{
		struct symbol *want = *s;

		/* a bare name means the kernel's own: payloads often keep the names of what they
		 * replace, and what the agent calls its variables is nobody's business */
		if (want->object ? !same_object_name(want->object, object)
				 : !strcmp(object, KBUILD_MODNAME) || compat_is_payload(object))
			continue;
		want->count++;
		if (want->count != (want->position ?: 1))
			continue;
		want->address = address;
		want->init = compat_is_init(object, address);
		if (!want->exported)
			strscpy(want->owner, object, sizeof(want->owner));
	}
	if (index->fn)
		match_pieces(index, object, name, address);
}

static void match_export(const struct index *index, const char *object, const char *name)
{
	struct symbol **s;

	for_each_of(s, index, name)
	{
		struct symbol *want = *s;

		if (want->object && strcmp(want->object, object))
			continue;
		want->exported = true;
		strscpy(want->owner, object, sizeof(want->owner));
	}
}

/* Where kallsyms has no entries of these tables, the kernel is asked for each name. */
static void match_unlisted(struct symbol *want)
{
	char owner[MODULE_NAME_LEN];
	unsigned long address = want->exported ? 0 : compat_unlisted_export(want->name, owner);

	if (!address || (want->object && strcmp(want->object, owner)))
		return;
	want->exported = true;
	strscpy(want->owner, owner, sizeof(want->owner));
	/* a variable; what is ambiguous, or one of the agent's own, stays as it was found */
	if (!want->count && strcmp(owner, KBUILD_MODNAME)) {
		want->count = 1;
		want->address = want->position > 1 ? 0 : address;
	}
}

/* ---- the pass ---- */

static void match(void *data, const char *object, const char *name, unsigned long address)
{
	const struct index *index = data;

	if (test_bit(head_of(name), index->heads))
		match_name(index, object, name, address);
	if (index->keep && test_bit(head_of(name), index->heads) && !strcmp(object, "vmlinux") &&
	    kept_wants(index->keep, name))
		kept_add(index->keep, name, address);
	if (name[0] != '_' || strncmp(name, EXPORT_PREFIX, strlen(EXPORT_PREFIX)))
		return;
	name += strlen(EXPORT_PREFIX);
	if (test_bit(head_of(name), index->heads))
		match_export(index, object, name);
}

/* ---- without a pass ---- */

static void keep_piece(void *data, const char *object, const char *name, unsigned long address)
{
	if (kept_is_piece(name) && !strcmp(object, "vmlinux"))
		kept_add(data, name, address);
}

void symbols_prepare(void)
{
	struct kept *k = compat_has_names() ? kzalloc(sizeof(*k), GFP_KERNEL) : NULL;

	if (!k)
		return;
	if (compat_for_each_symbol(true, keep_piece, k) || k->bad)
		kept_free(k);
	else
		pieces = k;
}

void symbols_release(void)
{
	kept_free(pieces);
	pieces = NULL;
}

static void match_kept(struct index *index, const struct kept *kept)
{
	unsigned int i;

	for (i = 0; i < kept->count; i++)
		match(index, "vmlinux", kept->names + kept->symbols[i].name,
		      kept->symbols[i].address);
}

static void match_by_name(struct index *index)
{
	char export[sizeof(EXPORT_PREFIX) + SUTURE_SYM_LEN];
	unsigned int i;

	for (i = 0; i < index->count; i++) {
		const char *name = index->sorted[i]->name;

		if (i && !strcmp(name, index->sorted[i - 1]->name))
			continue;
		if (!kept_is_piece(name))
			compat_for_each_named(name, match, index);
		snprintf(export, sizeof(export), EXPORT_PREFIX "%s", name);
		compat_for_each_named(export, match, index);
	}
	match_kept(index, pieces);
}

/* Are all that are wanted of vmlinux among those that were kept? */
static bool kept_covers(const struct kept *k, const struct symbol *symbols, unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		if (!symbols[i].object ||
		    (!strcmp(symbols[i].object, "vmlinux") && !kept_has(k, symbols[i].name)))
			return false;
	}
	return true;
}

static bool is_listed(const char *const *names, unsigned int count, const char *name)
{
	while (count--) {
		if (same_object_name(names[count], name))
			return true;
	}
	return false;
}

/* List the modules whose symbols are wanted. Returns how many; over FEW_MODULES: many, or any. */
static unsigned int list_modules(const struct symbol *symbols, unsigned int count,
				 const char *modules[FEW_MODULES])
{
	unsigned int i, n = 0;

	for (i = 0; i < count; i++) {
		const char *name = symbols[i].object;

		if (name && (!strcmp(name, "vmlinux") || is_listed(modules, n, name)))
			continue;
		if (!name || n == FEW_MODULES)
			return FEW_MODULES + 1;
		modules[n++] = name;
	}
	return n;
}

/* A guest may have hundreds of modules: each patch of a stack is one. */
static int match_modules(struct index *index, const struct symbol *symbols)
{
	const char *modules[FEW_MODULES];
	unsigned int count = list_modules(symbols, index->count, modules), i;

	if (count > FEW_MODULES)
		return compat_for_each_symbol(false, match, index);
	for (i = 0; i < count; i++) {
		const struct module *mod = compat_find_module(modules[i]);

		if (mod)
			compat_for_each_module_symbol(mod->name, match, index);
	}
	return 0;
}

static int find(struct index *index, struct symbol *symbols, const struct kept *kept)
{
	unsigned int count = index->count, i;
	bool kernel = index->keep;
	bool pass = !kept && (index->keep || !pieces || count > FEW_NAMES);
	int err;

	for (i = 0; i < count; i++) {
		symbols[i].address = 0;
		symbols[i].count = 0;
		symbols[i].exported = symbols[i].init = false;
		symbols[i].owner[0] = 0;
		index->sorted[i] = &symbols[i];
		__set_bit(head_of(symbols[i].name), index->heads);
		kernel |= !symbols[i].object || !strcmp(symbols[i].object, "vmlinux");
	}
	sort(index->sorted, count, sizeof(*index->sorted), by_name, NULL);
	if (kernel && kept)
		match_kept(index, kept);
	else if (kernel && !pass)
		match_by_name(index);
	err = kernel && pass ? compat_for_each_symbol(true, match, index)
			     : match_modules(index, symbols);
	for (i = 0; !err && i < count; i++)
		match_unlisted(&symbols[i]);
	return err;
}

int symbols_find(struct symbol *symbols, unsigned int count, symbol_part_fn fn, void *data,
		 const struct kept *kept)
{
	struct index index = {.count = count, .fn = fn, .data = data};
	int err;

	if (!count)
		return 0;
	index.sorted = kvmalloc_array(count, sizeof(*index.sorted), GFP_KERNEL);
	if (!index.sorted)
		return -ENOMEM;
	err = find(&index, symbols, kept && kept_covers(kept, symbols, count) ? kept : NULL);
	kvfree(index.sorted);
	return err;
}

int symbols_find_and_keep(struct symbol *symbols, unsigned int count,
			  const char (*functions)[SUTURE_SYM_LEN], unsigned int nr_functions,
			  struct kept **kept)
{
	bool few = pieces && count <= FEW_NAMES && nr_functions <= FEW_NAMES;
	struct index index = {.count = count,
			      .keep = few ? NULL : kept_new(functions, nr_functions)};
	unsigned int i;
	int err = -ENOMEM;

	index.sorted = kvmalloc_array(count + 1, sizeof(*index.sorted), GFP_KERNEL);
	for (i = 0; index.keep && i < nr_functions; i++)
		__set_bit(head_of(functions[i]), index.heads);
	if (index.sorted)
		err = find(&index, symbols, NULL);
	kvfree(index.sorted);
	*kept = index.keep;
	if (err || (index.keep && index.keep->bad)) {
		kept_free(index.keep);
		*kept = NULL;
	}
	return err;
}

void symbols_tell(const struct suture_work *work)
{
	struct suture_symbols *m = kzalloc(sizeof(*m), GFP_KERNEL);
	u32 i;

	if (!m)
		return; /* it will ask again */
	m->msg.type = SUTURE_MSG_SYMBOLS;
	m->msg.size = sizeof(*m);
	m->count = min(work->nr_addresses, SUTURE_SYMBOLS_MAX);
	for (i = 0; i < m->count; i++) {
		m->symbols[i].address = work->addresses[i];
		text_mark_cut(m->symbols[i].text, sizeof(m->symbols[i].text),
			      snprintf(m->symbols[i].text, sizeof(m->symbols[i].text), "%pB",
				       (void *)(unsigned long)work->addresses[i]));
	}
	mailbox_send(&m->msg);
	kfree(m);
}
