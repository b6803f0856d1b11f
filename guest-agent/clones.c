// SPDX-License-Identifier: GPL-2.0-only
/*
 * Code that a patch does not reach: the compiler made a clone of a function (name.constprop.N,
 * name.isra.N, name.part.N), and other functions call the clone directly. The redirect is in the
 * function only.
 */
#include <linux/bitmap.h>
#include <linux/bsearch.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sort.h>
#include <linux/string.h>
#include "agent.h"
#include "arch.h"
#include "compat.h"

#define SLICE	 0x10000u /* bytes of text between two chances for others to run */
#define NR_HEADS 4096

/* "name+0x12/0x34 [module]": the function's name, and its address. */
static unsigned long function_at(unsigned long address, char *name, size_t size)
{
	unsigned long offset = 0;
	char text[KSYM_SYMBOL_LEN], *plus;

	snprintf(text, sizeof(text), "%pS", (void *)address);
	plus = strrchr(text, '+');
	if (plus && sscanf(plus, "+%lx", &offset) != 1)
		offset = 0;
	text[strcspn(text, "+ ")] = 0;
	strscpy(name, text, size);
	return address - offset;
}

/* The functions that the patches replace, in two orders. */
struct replaced {
	unsigned int count;
	unsigned long *addresses;
	const char **names;
};

static int compare_addresses(const void *a, const void *b)
{
	unsigned long x = *(const unsigned long *)a, y = *(const unsigned long *)b;

	return x < y ? -1 : x > y;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool replaced_init(struct replaced *r, const struct lookup *l)
{
	unsigned int i;

	*r = (struct replaced){
		.count = l->count,
		.addresses = kvmalloc_array(l->count + 1, sizeof(*r->addresses), GFP_KERNEL),
		.names = kvmalloc_array(l->count + 1, sizeof(*r->names), GFP_KERNEL),
	};
	if (!r->addresses || !r->names)
		return false;
	for (i = 0; i < l->count; i++) {
		r->addresses[i] = (unsigned long)l->funcs[i]->old_func;
		r->names[i] = l->funcs[i]->old_name;
	}
	sort(r->addresses, r->count, sizeof(*r->addresses), compare_addresses, NULL);
	sort(r->names, r->count, sizeof(*r->names), compare_names, NULL);
	return true;
}

static void replaced_free(struct replaced *r)
{
	kvfree(r->addresses);
	kvfree(r->names);
}

/* Does the patch replace the function at that address by its own name? */
static bool is_function(const struct replaced *r, unsigned long address)
{
	return bsearch(&address, r->addresses, r->count, sizeof(address), compare_addresses);
}

/* Is it a part of a function that is replaced: that function's name, and a dot? */
static bool is_part(const struct replaced *r, const char *name)
{
	char base[SUTURE_SYM_LEN];
	const char *key = base, *dot;

	strscpy(base, name, sizeof(base));
	for (dot = strrchr(base, '.'); dot; dot = strrchr(base, '.')) {
		base[dot - base] = 0;
		if (bsearch(&key, r->names, r->count, sizeof(*r->names), compare_names))
			return true;
	}
	return false;
}

/* A call in a function that is replaced, or in a part of one, does not count. */
static void add_caller(const struct replaced *r, struct clone *c, unsigned long place)
{
	char name[SUTURE_SYM_LEN];
	unsigned long function = function_at(place, name, sizeof(name));

	/* in the order of the text: calls of one function follow one another */
	if (function == c->last_caller || is_function(r, function) || is_part(r, name))
		return;
	c->last_caller = function;
	if (c->nr_callers < SUTURE_MAX_CALLERS)
		c->callers[c->nr_callers] = function;
	c->nr_callers++;
}

static int compare_clones(const void *a, const void *b)
{
	const struct clone *c = a, *d = b;

	return c->address < d->address ? -1 : c->address > d->address;
}

/* The first clone at that address; the clones are sorted. l->nr_clones: there is none. */
static unsigned int first_clone(const struct lookup *l, unsigned long address)
{
	unsigned int low = 0, high = l->nr_clones, middle;

	while (low < high) {
		middle = (low + high) / 2;
		if (l->clones[middle].address < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void scan_slice(struct lookup *l, const struct replaced *r, const unsigned long *heads,
		       unsigned long at, unsigned long end, unsigned long limit)
{
	unsigned int i;

	for (; at < end; at += ARCH_INSN_ALIGN) {
		unsigned long target = arch_direct_target((const u8 *)at, limit - at);

		if (!target || !test_bit(target / 4 % NR_HEADS, heads))
			continue;
		for (i = first_clone(l, target); i < l->nr_clones && l->clones[i].address == target;
		     i++)
			add_caller(r, &l->clones[i], at);
	}
}

static void scan_object(struct lookup *l, const struct replaced *r, const char *object)
{
	DECLARE_BITMAP(heads, NR_HEADS) = {};
	unsigned long start, end, at;
	unsigned int i;

	if (!lookup_text(object, &start, &end))
		return;
	for (i = 0; i < l->nr_clones; i++)
		__set_bit(l->clones[i].address / 4 % NR_HEADS, heads);
	for (at = start; at < end; at += SLICE) {
		scan_slice(l, r, heads, at, min(at + SLICE, end), end);
		cond_resched();
	}
}

static const char *object_of(const struct lookup *l, unsigned int clone)
{
	return l->symbols[l->clones[clone].symbol].object;
}

/* Scan each object that has clones. Clones of one object have addresses near each other. */
static void scan_objects(struct lookup *l, const struct replaced *r)
{
	unsigned int i;

	for (i = 0; i < l->nr_clones; i++) {
		if (!i || strcmp(object_of(l, i), object_of(l, i - 1)))
			scan_object(l, r, object_of(l, i));
	}
}

int clones_find_callers(struct lookup *l)
{
	struct replaced r;
	unsigned int i, n = 0;
	int err = 0;

	if (!l->nr_clones)
		return 0;
	if (!replaced_init(&r, l)) {
		err = -ENOMEM;
		goto out;
	}
	for (i = 0; i < l->nr_clones; i++) {
		if (!is_function(&r, l->clones[i].address))
			l->clones[n++] = l->clones[i];
	}
	l->nr_clones = n;
	sort(l->clones, l->nr_clones, sizeof(*l->clones), compare_clones, NULL);
	scan_objects(l, &r);
	for (i = n = 0; i < l->nr_clones; i++) {
		if (l->clones[i].nr_callers)
			l->clones[n++] = l->clones[i];
	}
	l->nr_clones = n;
	if (n > SUTURE_MAX_CLONES) {
		l->more_clones += n - SUTURE_MAX_CLONES;
		l->nr_clones = SUTURE_MAX_CLONES;
	}
out:
	replaced_free(&r);
	return err;
}

size_t clones_limit(struct lookup *l, size_t room)
{
	const size_t each = sizeof(struct suture_decl_clone);
	unsigned int fit = min_t(size_t, l->nr_clones, room / each);

	l->more_clones += l->nr_clones - fit;
	l->nr_clones = fit;
	return fit * each;
}

void clones_describe(const struct lookup *l, struct suture_decl_clone *d)
{
	unsigned int i, j;

	for (i = 0; i < l->nr_clones; i++, d++) {
		const struct clone *c = &l->clones[i];

		d->func = l->index[c->symbol];
		d->nr_callers = c->nr_callers;
		function_at(c->address, d->name, sizeof(d->name));
		for (j = 0; j < min(c->nr_callers, SUTURE_MAX_CALLERS); j++)
			function_at(c->callers[j], d->callers[j], sizeof(d->callers[j]));
	}
}
