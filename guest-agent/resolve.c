// SPDX-License-Identifier: GPL-2.0-only
/* The functions that patches replace: where they are, by Linux's rules and in its words. */
#include <linux/mm.h>
#include "agent.h"
#include "compat.h"

int lookup_init(struct lookup *l, unsigned int max)
{
	l->count = 0;
	l->funcs = kvcalloc(max + 1, sizeof(*l->funcs), GFP_KERNEL);
	l->symbols = kvcalloc(max + 1, sizeof(*l->symbols), GFP_KERNEL);
	return l->funcs && l->symbols ? 0 : -ENOMEM;
}

void lookup_free(struct lookup *l)
{
	kvfree(l->funcs);
	kvfree(l->symbols);
}

void lookup_add(struct lookup *l, const struct klp_object *obj)
{
	struct klp_func *func;

	klp_for_each_func_static(obj, func)
	{
		l->symbols[l->count].object = object_name(obj);
		l->symbols[l->count].name = func->old_name;
		l->symbols[l->count].position = func->old_sympos;
		l->funcs[l->count++] = func;
	}
}

/* To the log go Linux's texts, to the operator what to do. */
static int lookup_judge(struct klp_func *func, const struct symbol *s)
{
	if (!s->count) {
		klp_log(KERN_ERR, "symbol '%s' not found in symbol table\n", s->name);
		patch_set_error("there is no function '%s' in '%s'", s->name, s->object);
		return -EINVAL;
	}
	if (!s->position && s->count > 1) {
		klp_log(KERN_ERR, "unresolvable ambiguity for symbol '%s' in object '%s'\n",
			s->name, s->object);
		patch_set_error("function '%s' is ambiguous: '%s' has %lu of that name; say which "
				"one with old_sympos",
				s->name, s->object, s->count);
		return -EINVAL;
	}
	if (!s->address) {
		klp_log(KERN_ERR, "symbol position %lu for symbol '%s' in object '%s' not found\n",
			s->position, s->name, s->object);
		patch_set_error(
			"there is no function '%s' at position %lu in '%s', which has %lu of "
			"that name",
			s->name, s->position, s->object, s->count);
		return -EINVAL;
	}
	func->old_size = compat_symbol_size(s->address);
	if (!func->old_size) {
		refuse("kallsyms size lookup failed for '%s'", func->old_name);
		return -ENOENT;
	}
	func->old_func = (void *)s->address;
	return 0;
}

int lookup_run(struct lookup *l)
{
	unsigned int i;
	int err = symbols_find(l->symbols, l->count);

	if (err)
		return err;
	for (i = 0; i < l->count; i++) {
		int bad;

		l->funcs[i]->old_func = NULL;
		l->funcs[i]->old_size = 0;
		bad = lookup_judge(l->funcs[i], &l->symbols[i]);
		if (!err)
			err = bad;
	}
	return err;
}
