// SPDX-License-Identifier: GPL-2.0-only
/*
 * Code that a patch does not reach: the compiler made a clone of a function (name.constprop.N,
 * name.isra.N, name.part.N), and other functions call the clone directly. The redirect is in the
 * function only.
 */
#include <linux/bitmap.h>
#include <linux/mm.h>
#include <linux/sched.h>
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

static bool starts_with_part_of(const char *name, const char *function)
{
	size_t len = strlen(function);

	return !strncmp(name, function, len) && name[len] == '.';
}

/* A call in a function that is replaced, or in a part of one, does not count. */
static bool is_replaced(const struct lookup *l, unsigned long function, const char *name)
{
	unsigned int i;

	for (i = 0; i < l->count; i++) {
		if ((unsigned long)l->funcs[i]->old_func == function ||
		    starts_with_part_of(name, l->funcs[i]->old_name))
			return true;
	}
	return false;
}

static void add_caller(const struct lookup *l, struct clone *c, unsigned long place)
{
	char name[SUTURE_SYM_LEN];
	unsigned long function = function_at(place, name, sizeof(name));

	/* in the order of the text: calls of one function follow one another */
	if (function == c->last_caller || is_replaced(l, function, name))
		return;
	c->last_caller = function;
	if (c->nr_callers < SUTURE_MAX_CALLERS)
		c->callers[c->nr_callers] = function;
	c->nr_callers++;
}

static void scan_slice(struct lookup *l, const unsigned long *heads, unsigned long at,
		       unsigned long end, unsigned long limit)
{
	unsigned int i;

	for (; at < end; at += ARCH_INSN_ALIGN) {
		unsigned long target = arch_direct_target((const u8 *)at, limit - at);

		if (!target || !test_bit(target / 4 % NR_HEADS, heads))
			continue;
		for (i = 0; i < l->nr_clones; i++) {
			if (l->clones[i].address == target)
				add_caller(l, &l->clones[i], at);
		}
	}
}

static void scan_object(struct lookup *l, const char *object)
{
	DECLARE_BITMAP(heads, NR_HEADS) = {};
	unsigned long start, end, at;
	unsigned int i;

	if (!lookup_text(object, &start, &end))
		return;
	for (i = 0; i < l->nr_clones; i++)
		__set_bit(l->clones[i].address / 4 % NR_HEADS, heads);
	for (at = start; at < end; at += SLICE) {
		scan_slice(l, heads, at, min(at + SLICE, end), end);
		cond_resched();
	}
}

static const char *object_of(const struct lookup *l, unsigned int clone)
{
	return l->symbols[l->clones[clone].symbol].object;
}

/* Does the patch replace it by its own name? */
static bool is_function(const struct lookup *l, const struct clone *c)
{
	unsigned int i;

	for (i = 0; i < l->count; i++) {
		if ((unsigned long)l->funcs[i]->old_func == c->address)
			return true;
	}
	return false;
}

void clones_find_callers(struct lookup *l)
{
	unsigned int i, j, n = 0;

	for (i = 0; i < l->nr_clones; i++) {
		if (!is_function(l, &l->clones[i]))
			l->clones[n++] = l->clones[i];
	}
	l->nr_clones = n;
	for (i = 0; i < l->nr_clones; i++) {
		for (j = 0; j < i && strcmp(object_of(l, i), object_of(l, j)); j++)
			;
		if (j == i)
			scan_object(l, object_of(l, i));
	}
	for (i = n = 0; i < l->nr_clones; i++) {
		if (l->clones[i].nr_callers)
			l->clones[n++] = l->clones[i];
	}
	l->nr_clones = n;
	if (n > SUTURE_MAX_CLONES) {
		l->more_clones += n - SUTURE_MAX_CLONES;
		l->nr_clones = SUTURE_MAX_CLONES;
	}
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
