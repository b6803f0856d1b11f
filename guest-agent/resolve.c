// SPDX-License-Identifier: GPL-2.0-only
/* Resolving the functions that patches replace, by Linux's rules. */
#include <linux/mm.h>
#include <linux/string.h>
#include "agent.h"
#include "arch.h"
#include "compat.h"

/* Each object of a patch, and the payload. */
#define MODULES_MAX (SUTURE_MAX_OBJECTS + 1)

int lookup_init(struct lookup *l, unsigned int max)
{
	*l = (struct lookup){};
	l->funcs = kvcalloc(max + 1, sizeof(*l->funcs), GFP_KERNEL);
	l->symbols = kvcalloc(2 * max + 1, sizeof(*l->symbols), GFP_KERNEL);
	l->index = kvcalloc(2 * max + 1, sizeof(*l->index), GFP_KERNEL);
	l->names = kvcalloc(max + 1, sizeof(*l->names), GFP_KERNEL);
	l->parts = kvcalloc(SUTURE_MAX_PARTS, sizeof(*l->parts), GFP_KERNEL);
	l->clones = kvcalloc(SUTURE_MAX_PARTS, sizeof(*l->clones), GFP_KERNEL);
	l->missing = kvcalloc(max + 1, sizeof(*l->missing), GFP_KERNEL);
	l->modules = kvcalloc(MODULES_MAX, sizeof(*l->modules), GFP_KERNEL);
	return l->funcs && l->symbols && l->index && l->names && l->parts && l->clones &&
			       l->missing && l->modules
		       ? 0
		       : -ENOMEM;
}

void lookup_free(struct lookup *l)
{
	kvfree(l->funcs);
	kvfree(l->symbols);
	kvfree(l->index);
	kvfree(l->names);
	kvfree(l->parts);
	kvfree(l->missing);
	kvfree(l->clones);
	while (l->nr_modules)
		module_symbols_free(&l->modules[--l->nr_modules]);
	kvfree(l->modules);
	kept_free(l->kept);
}

static const struct module_symbols *find_module_symbols(const struct lookup *l, const char *module)
{
	unsigned int i;

	for (i = 0; i < l->nr_modules; i++) {
		if (same_object_name(module, l->modules[i].module))
			return &l->modules[i];
	}
	return NULL;
}

int lookup_read(struct lookup *l, const char *module)
{
	struct module *mod = compat_find_module(module);

	if (find_module_symbols(l, module))
		return 0;
	if (!mod)
		return -ENOENT;
	if (l->nr_modules == MODULES_MAX)
		return -E2BIG;
	return module_symbols_read(&l->modules[l->nr_modules++], mod);
}

unsigned long lookup_size(const struct lookup *l, const char *object, unsigned long address)
{
	const struct module_symbols *m = find_module_symbols(l, object);

	return m ? module_symbols_size(m, address) : compat_symbol_size(address);
}

int lookup_add(struct lookup *l, const struct klp_object *obj, u32 first)
{
	struct klp_func *func;

	klp_for_each_func_static(obj, func)
	{
		l->symbols[l->count].object = object_name(obj);
		l->symbols[l->count].name = func->old_name;
		l->symbols[l->count].position = func->old_sympos;
		l->index[l->count] = first++;
		l->funcs[l->count++] = func;
	}
	return obj->name ? lookup_read(l, obj->name) : 0;
}

bool lookup_text(const char *object, unsigned long *start, unsigned long *end)
{
	static unsigned long stext, etext; /* looking them up takes milliseconds */
	struct module *mod;

	if (!stext) {
		stext = compat_symbol("_stext");
		etext = compat_symbol("_etext");
	}
	*start = stext;
	*end = etext;
	if (!strcmp(object, "vmlinux"))
		return true;
	mod = compat_find_module(object);
	if (mod)
		compat_module_text(mod, start, end);
	return mod;
}

void lookup_prepare(void)
{
	unsigned long start, end;

	lookup_text("vmlinux", &start, &end);
	compat_is_init("vmlinux", 0);
	compat_writes_sealed_keys();
}

/* Init memory of a module, or of the kernel, is freed after init. */
static bool stays(const char *object, unsigned long address)
{
	unsigned long start, end;

	return lookup_text(object, &start, &end) && address >= start && address < end;
}

static void lookup_clone(struct lookup *l, unsigned int i, unsigned long address)
{
	if (l->nr_clones == SUTURE_MAX_PARTS)
		l->more_clones++;
	else
		l->clones[l->nr_clones++] = (struct clone){.symbol = i, .address = address};
}

/* A task in a part is in the function: .cold, .part.N, an erratum's veneer. */
static void lookup_part(struct lookup *l, unsigned int i, unsigned long address, unsigned long size)
{
	const struct symbol *s = &l->symbols[i];
	struct suture_decl_part *part;

	if (l->nr_parts == SUTURE_MAX_PARTS) {
		refuse("the functions have over %u split-off parts: more than the monitor takes",
		       SUTURE_MAX_PARTS);
		l->error = -E2BIG;
		return;
	}
	part = &l->parts[l->nr_parts++];
	part->func = l->index[i];
	part->is_new = i >= l->count;
	part->addr = address;
	part->size = size;
	if (!part->size) {
		refuse("kallsyms size lookup failed for a part of '%s'", s->name);
		l->error = -ENOENT;
	}
}

/* The function, or a part of it, is there. */
static void lookup_veneers(struct lookup *l, unsigned int i, unsigned long address,
			   unsigned long size)
{
	unsigned long at = address, text, text_end, veneer, len;

	if (!lookup_text(l->symbols[i].object, &text, &text_end))
		return;
	while (!l->error &&
	       (veneer = arch_next_veneer(&at, address + size, text, text_end, &len))) {
		if (veneer - address >= size)
			lookup_part(l, i, veneer, len);
	}
}

void lookup_add_new(struct lookup *l, const struct klp_func *func, const char *payload, u32 index)
{
	unsigned int i = l->count + l->nr_new;
	char *name = l->names[l->nr_new++];
	const struct module_symbols *m = find_module_symbols(l, payload);
	const char *symbol = m ? module_symbols_name(m, (unsigned long)func->new_func) : NULL;

	strscpy(name, symbol ?: "", SUTURE_SYM_LEN);
	l->symbols[i].object = payload;
	l->symbols[i].name = name;
	l->index[i] = index;
	lookup_veneers(l, i, (unsigned long)func->new_func, func->new_size);
}

static void lookup_piece(void *data, const struct symbol *s, const char *name,
			 unsigned long address)
{
	struct lookup *l = data;
	unsigned int i = s - l->symbols;
	const char *suffix = name + strlen(s->name);
	bool cold = !strncmp(suffix, ".cold", 5);

	if (l->error || !stays(s->object, address))
		return;
	if (cold || !strncmp(suffix, ".part.", 6)) {
		unsigned long size = lookup_size(l, s->object, address);

		lookup_part(l, i, address, size);
		lookup_veneers(l, i, address, size);
	}
	if (i < l->count && !strstr(suffix, ".cold"))
		lookup_clone(l, i, address);
}

static enum suture_missing lookup_judge(const struct lookup *l, struct klp_func *func,
					const struct symbol *s)
{
	if (!s->count)
		return SUTURE_NOT_FOUND;
	if (!s->position && s->count > 1)
		return SUTURE_AMBIGUOUS;
	if (!s->address)
		return SUTURE_NO_POSITION;
	if (s->init)
		return SUTURE_IN_INIT;
	func->old_size = lookup_size(l, s->object, s->address);
	if (!func->old_size)
		return SUTURE_NO_SIZE;
	func->old_func = (void *)s->address;
	return SUTURE_FOUND;
}

int lookup_run(struct lookup *l)
{
	unsigned int i;
	int err;

	for (i = 0; i < l->count; i++) {
		l->funcs[i]->old_func = NULL;
		l->funcs[i]->old_size = 0;
	}
	err = symbols_find(l->symbols, l->count + l->nr_new, lookup_piece, l, l->kept);
	if (!err)
		err = l->error;
	for (i = 0; !err && i < l->count; i++) {
		l->missing[i] = lookup_judge(l, l->funcs[i], &l->symbols[i]);
		lookup_veneers(l, i, (unsigned long)l->funcs[i]->old_func, l->funcs[i]->old_size);
		err = l->error;
	}
	return err ?: clones_find_callers(l);
}
