// SPDX-License-Identifier: GPL-2.0-only
/* Symbols that are kept for later look-ups: their names and addresses. */
#include <linux/bsearch.h>
#include <linux/kallsyms.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/string.h>
#include "agent.h"
#include "kept.h"

bool kept_is_suffix(const char *dot)
{
	return !strncmp(dot, ".part.", 6) || !strncmp(dot, ".constprop.", 11) ||
	       !strncmp(dot, ".isra.", 6) ||
	       (!strncmp(dot, ".cold", 5) && (!dot[5] || dot[5] == '.'));
}

bool kept_is_piece(const char *name)
{
	const char *dot;

	for (dot = strchr(name, '.'); dot; dot = strchr(dot + 1, '.')) {
		if (kept_is_suffix(dot))
			return true;
	}
	return false;
}

static int compare_wanted(const void *a, const void *b)
{
	return strcmp(a, b);
}

bool kept_has(const struct kept *k, const char *name)
{
	return bsearch(name, k->wanted, k->nr_wanted, sizeof(*k->wanted), compare_wanted);
}

bool kept_wants(const struct kept *k, const char *name)
{
	char base[KSYM_NAME_LEN];
	const char *dot;

	if (kept_has(k, name))
		return true;
	for (dot = strchr(name, '.'); dot; dot = strchr(dot + 1, '.')) {
		if (!kept_is_suffix(dot) || dot - name >= sizeof(base))
			continue;
		memcpy(base, name, dot - name);
		base[dot - name] = 0;
		if (kept_has(k, base))
			return true;
	}
	return false;
}

/* Room for one item more; NULL when memory is out, and `old` is freed. */
static void *grow(void *old, unsigned int used, unsigned int *room, size_t size)
{
	unsigned int more = *room ? 2 * *room : 256;
	void *items = kvmalloc_array(more, size, GFP_KERNEL);

	if (items && old)
		memcpy(items, old, used * size);
	kvfree(old);
	*room = items ? more : 0;
	return items;
}

void kept_add(struct kept *k, const char *name, unsigned long address)
{
	unsigned int len = strlen(name) + 1;

	if (k->bad)
		return;
	if (k->count == k->room)
		k->symbols = grow(k->symbols, k->count, &k->room, sizeof(*k->symbols));
	while (k->names_size + len > k->names_room && !k->bad) {
		k->names = grow(k->names, k->names_size, &k->names_room, 1);
		k->bad = !k->names;
	}
	k->bad |= !k->symbols;
	if (k->bad)
		return;
	memcpy(k->names + k->names_size, name, len);
	k->symbols[k->count++] = (struct kept_symbol){address, k->names_size};
	k->names_size += len;
}

void kept_free(struct kept *k)
{
	if (!k)
		return;
	kvfree(k->wanted);
	kvfree(k->symbols);
	kvfree(k->names);
	kfree(k);
}

struct kept *kept_new(const char (*functions)[SUTURE_SYM_LEN], unsigned int count)
{
	struct kept *k = count ? kzalloc(sizeof(*k), GFP_KERNEL) : NULL;

	if (!k)
		return NULL;
	k->wanted = kvmalloc_array(count, sizeof(*k->wanted), GFP_KERNEL);
	if (!k->wanted) {
		kfree(k);
		return NULL;
	}
	memcpy(k->wanted, functions, count * sizeof(*k->wanted));
	k->nr_wanted = count;
	sort(k->wanted, count, sizeof(*k->wanted), compare_wanted, NULL);
	return k;
}
