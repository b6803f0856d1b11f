// SPDX-License-Identifier: GPL-2.0-only
/* From klp_patch to the message DECLARE: checked, and with its functions resolved. */
#include <linux/kallsyms.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/string.h>
#include "agent.h"
#include "compat.h"

#define for_each_state(klp, state) for (state = (klp)->states; state && state->id; state++)

static bool same_object(const struct klp_object *a, const struct klp_object *b)
{
	return same_object_name(object_name(a), object_name(b));
}

/* Positions 0 and 1 are the same function. */
static int compare_funcs(const void *a, const void *b)
{
	const struct klp_func *f = *(const struct klp_func *const *)a;
	const struct klp_func *g = *(const struct klp_func *const *)b;
	unsigned long i = f->old_sympos ?: 1, j = g->old_sympos ?: 1;
	int order = strcmp(f->old_name, g->old_name);

	return order ?: i < j ? -1 : i > j;
}

static int check_twice(const struct klp_object *obj, unsigned int count)
{
	const struct klp_func *func, **sorted;
	unsigned int i = 0;
	int err = 0;

	sorted = kvmalloc_array(count + 1, sizeof(*sorted), GFP_KERNEL);
	if (!sorted)
		return -ENOMEM;
	klp_for_each_func_static(obj, func) sorted[i++] = func;
	sort(sorted, count, sizeof(*sorted), compare_funcs, NULL);
	for (i = 1; !err && i < count; i++) {
		if (compare_funcs(&sorted[i - 1], &sorted[i]))
			continue;
		refuse("function '%s' of object '%s' is named twice", sorted[i]->old_name,
		       object_name(obj));
		err = -EEXIST;
	}
	kvfree(sorted);
	return err;
}

static int check_object(const struct klp_object *obj)
{
	const struct klp_func *func;
	unsigned int count = 0;

	if (obj->name && strlen(obj->name) >= SUTURE_NAME_LEN) {
		refuse("object name '%s' is too long", obj->name);
		return -EINVAL;
	}
	klp_for_each_func_static(obj, func)
	{
		if (!func->old_name || !func->new_func) {
			refuse("a function of object '%s' has no old name or no new function",
			       object_name(obj));
			return -EINVAL;
		}
		if (strlen(func->old_name) >= SUTURE_SYM_LEN) {
			refuse("function name '%s' is too long", func->old_name);
			return -EINVAL;
		}
		count++;
	}
	return check_twice(obj, count);
}

int declare_check(const struct klp_patch *klp)
{
	const struct klp_object *obj, *other;
	int err;

	klp_for_each_object_static(klp, obj)
	{
		if (!obj->funcs) {
			refuse("object '%s' has no array of functions", object_name(obj));
			return -EINVAL;
		}
		for (other = klp->objs; other != obj; other++) {
			if (same_object(obj, other)) {
				refuse("object '%s' is named twice", object_name(obj));
				return -EEXIST;
			}
		}
		err = check_object(obj);
		if (err)
			return err;
	}
	return 0;
}

static void describe_func(struct suture_decl_func *d, const struct module *mod,
			  const struct klp_func *func)
{
	strscpy(d->name, func->old_name, sizeof(d->name));
	d->sympos = func->old_sympos;
	d->old_addr = (unsigned long)func->old_func;
	d->old_size = func->old_size;
	d->ftrace_site = compat_ftrace_site(d->old_addr, d->old_size);
	d->nr_sites = sites_find(mod, d->old_addr, d->old_size, d->sites);
	if (sites_are_close(d->ftrace_site, d->old_size, d->sites, d->nr_sites))
		d->hook = hooks_offer(d->name, d->old_addr, d->old_addr + d->ftrace_site);
}

/* ---- DECLARE ---- */

static void count_tables(const struct klp_patch *klp, struct suture_declare *d)
{
	const struct klp_object *obj;
	const struct klp_func *func;
	const struct klp_state *state;

	klp_for_each_object_static(klp, obj)
	{
		d->nr_objects++;
		klp_for_each_func_static(obj, func) d->nr_funcs++;
	}
	for_each_state(klp, state) d->nr_states++;
}

static void describe_object(struct suture_decl_object *d, const struct klp_object *obj)
{
	const struct klp_callbacks *cb = &obj->callbacks;
	unsigned long start = 0, end = 0;

	strscpy(d->name, object_name(obj), sizeof(d->name));
	strreplace(d->name, '-', '_');
	d->callbacks = !!cb->pre_patch << SUTURE_CB_PRE_PATCH |
		       !!cb->post_patch << SUTURE_CB_POST_PATCH |
		       !!cb->pre_unpatch << SUTURE_CB_PRE_UNPATCH |
		       !!cb->post_unpatch << SUTURE_CB_POST_UNPATCH;
	d->loaded = !obj->name || obj->mod;
	if (obj->mod)
		compat_module_text(obj->mod, &start, &end);
	d->text_start = start;
	d->text_end = end;
}

static void describe_state(struct suture_decl_state *d, const struct klp_state *state)
{
	const struct klp_state_callbacks *cb = &state->callbacks;

	d->id = state->id;
	d->version = state->version;
	d->callbacks = !!cb->pre_patch << SUTURE_CB_PRE_PATCH |
		       !!cb->post_patch << SUTURE_CB_POST_PATCH |
		       !!cb->pre_unpatch << SUTURE_CB_PRE_UNPATCH |
		       !!cb->post_unpatch << SUTURE_CB_POST_UNPATCH |
		       !!cb->shadow_dtor << SUTURE_CB_SHADOW_DTOR;
	d->is_shadow = state->is_shadow;
	d->block_disable = state->block_disable;
}

/* Find the objects that are loaded, and their functions. */
static int resolve_patch(const struct patch *p, unsigned int nr_funcs, struct lookup *lookup)
{
	struct klp_patch *klp = p->klp;
	struct klp_object *obj;
	struct klp_func *func;
	u32 first = 0, index = 0;
	int err = lookup_init(lookup, nr_funcs);

	lookup->kept = late_take_kept(p->mod);
	if (!err)
		err = lookup_read(lookup, p->name);
	if (err)
		return err;
	klp_for_each_object_static(klp, obj)
	{
		obj->mod = obj->name ? compat_find_module(obj->name) : NULL;
		if (obj->mod && !notifier_is_present(obj->mod))
			obj->mod = NULL;
		klp_for_each_func_static(obj, func)
		{
			func->old_func = NULL;
			func->old_size = 0;
			func->new_size =
				lookup_size(lookup, p->name, (unsigned long)func->new_func);
			if (!func->new_size && !err) {
				klp_log(KERN_ERR,
					"kallsyms size lookup failed for '%s' replacement\n",
					func->old_name);
				patch_set_error("kallsyms does not know the new '%s'",
						func->old_name);
				err = -ENOENT;
			}
		}
		if (!err && (!obj->name || obj->mod))
			err = lookup_add(lookup, obj, first);
		klp_for_each_func_static(obj, func) first++;
	}
	klp_for_each_object_static(klp, obj)
	{
		klp_for_each_func_static(obj, func) lookup_add_new(lookup, func, p->name, index++);
	}
	return err ? err : lookup_run(lookup);
}

/* Resolve the symbols that its payload takes from the objects that are loaded. */
static int resolve_late(const struct patch *p)
{
	const struct klp_object *obj;
	int err = 0;

	klp_for_each_object_static(p->klp, obj)
	{
		if (!err && obj->mod)
			err = late_resolve(p->mod, obj->name);
	}
	return err;
}

static void describe_patch(struct suture_declare *d, const struct patch *p,
			   const struct lookup *lookup)
{
	struct suture_decl_object *object = (void *)(d + 1);
	struct suture_decl_func *first = (void *)(object + d->nr_objects), *f = first;
	struct suture_decl_state *s = (void *)(f + d->nr_funcs);
	const struct klp_object *obj;
	const struct klp_func *func;
	const struct klp_state *state;
	unsigned long start, end;
	unsigned int i;
	u32 index = 0;

	strscpy(d->name, p->name, sizeof(d->name));
	compat_module_text(p->mod, &start, &end);
	d->text_start = start;
	d->text_end = end;
	d->flags = p->klp->replace ? SUTURE_DECL_REPLACE : 0;
	klp_for_each_object_static(p->klp, obj)
	{
		describe_object(object++, obj);
		klp_for_each_func_static(obj, func)
		{
			describe_func(f, obj->mod, func);
			f->object = index;
			f->new_addr = (unsigned long)func->new_func;
			f->new_size = func->new_size;
			f++;
		}
		index++;
	}
	for (i = 0; i < lookup->count; i++)
		first[lookup->index[i]].missing = lookup->missing[i];
	for_each_state(p->klp, state) describe_state(s++, state);
	memcpy(s, lookup->parts, lookup->nr_parts * sizeof(*lookup->parts));
	clones_describe(lookup, (void *)((struct suture_decl_part *)s + lookup->nr_parts));
}

int declare_patch(struct patch *p, u32 flags)
{
	struct suture_declare counts = {}, *d;
	struct lookup lookup;
	size_t size;
	int err;

	count_tables(p->klp, &counts);
	err = resolve_patch(p, counts.nr_funcs, &lookup);
	if (!err)
		err = overrides_check(&lookup);
	if (err == -EBUSY && flags & SUTURE_DECL_RESTORE) {
		/* the monitor tells the operator who asked for its return */
		counts.error = err;
		patch_error(counts.why, sizeof(counts.why));
		err = 0;
	}
	if (!err)
		err = resolve_late(p);
	if (err)
		goto free_lookup;
	counts.nr_parts = lookup.nr_parts;
	counts.nr_clones = lookup.nr_clones;
	counts.more_clones = lookup.more_clones;
	size = sizeof(*d) + counts.nr_objects * sizeof(struct suture_decl_object) +
	       counts.nr_funcs * sizeof(struct suture_decl_func) +
	       counts.nr_states * sizeof(struct suture_decl_state) +
	       counts.nr_parts * sizeof(struct suture_decl_part) +
	       counts.nr_clones * sizeof(struct suture_decl_clone);
	err = -E2BIG;
	if (counts.nr_objects > SUTURE_MAX_OBJECTS || counts.nr_funcs > SUTURE_MAX_FUNCS ||
	    counts.nr_states > SUTURE_MAX_STATES || size > SUTURE_LONG_MAX) {
		refuse("the patch has %u objects, %u functions with %u parts, and %u states: more "
		       "than the monitor takes; split it",
		       counts.nr_objects, counts.nr_funcs, counts.nr_parts, counts.nr_states);
		goto free_lookup;
	}

	err = -ENOMEM;
	d = kvzalloc(size, GFP_KERNEL);
	if (!d)
		goto free_lookup;
	*d = counts;
	d->msg.type = SUTURE_MSG_DECLARE;
	d->msg.size = size;
	sites_settle();
	describe_patch(d, p, &lookup);
	d->flags |= flags;
	err = mailbox_send(&d->msg);
	overrides_report_again();
	kvfree(d);
	if (err && err != -EAGAIN)
		refuse("the monitor refuses the patch (error %d)%s", err,
		       err == -EPERM ? ": it did not come as a bundle" : "");
free_lookup:
	lookup_free(&lookup);
	return err;
}

/* ---- MODULE ---- */

static struct klp_object *find_object(const struct patch *p, const char *module)
{
	struct klp_object *obj;

	klp_for_each_object_static(p->klp, obj)
	{
		if (obj->name && same_object_name(obj->name, module))
			return obj;
	}
	return NULL;
}

bool declare_names(const char *module)
{
	struct patch *p;

	list_for_each_entry(p, &patches, list)
	{
		if (find_object(p, module))
			return true;
	}
	list_for_each_entry(p, &retired_patches, list)
	{
		if (find_object(p, module))
			return true;
	}
	return false;
}

void declare_set_module(const char *name, struct module *mod)
{
	struct klp_object *obj;
	struct patch *p;

	list_for_each_entry(p, &patches, list)
	{
		obj = find_object(p, name);
		if (obj)
			obj->mod = mod;
	}
}

/* Resolve what patches name in the coming module. As lookup_run(). */
static int lookup_module(struct lookup *l, const char *module)
{
	unsigned int count = 0;
	struct klp_object *obj;
	struct klp_func *func;
	struct patch *p;
	int err;

	list_for_each_entry(p, &patches, list)
	{
		obj = find_object(p, module);
		if (obj)
			klp_for_each_func_static(obj, func) count++;
	}
	err = lookup_init(l, count);
	if (err)
		return err;
	list_for_each_entry(p, &patches, list)
	{
		obj = find_object(p, module);
		if (obj && !err)
			err = lookup_add(l, obj, l->count);
	}
	return err ?: lookup_run(l);
}

/* Resolve the symbols that payloads take from the coming module. */
static int resolve_late_module(const char *module)
{
	struct patch *p;
	int err = 0;

	list_for_each_entry(p, &patches, list)
	{
		if (!err && find_object(p, module))
			err = late_resolve(p->mod, module);
	}
	return err;
}

int declare_module(struct module *mod, enum suture_module_state state)
{
	struct lookup lookup = {};
	struct suture_module *m = NULL;
	struct suture_decl_func *f;
	unsigned long start, end;
	unsigned int i;
	size_t size;
	int err = 0;

	if (state == SUTURE_MODULE_COMING)
		err = lookup_module(&lookup, mod->name);
	size = sizeof(*m) + lookup.count * sizeof(*f) + lookup.nr_parts * sizeof(*lookup.parts);
	if (!err && size > SUTURE_LONG_MAX)
		err = -E2BIG;
	if (!err)
		size += clones_limit(&lookup, SUTURE_LONG_MAX - size);
	if (!err) {
		m = kvzalloc(size, GFP_KERNEL);
		err = m ? 0 : -ENOMEM;
	}
	if (!err) {
		m->msg.type = SUTURE_MSG_MODULE;
		m->msg.size = size;
		strscpy(m->name, mod->name, sizeof(m->name));
		m->state = state;
		if (state == SUTURE_MODULE_COMING)
			m->error = overrides_check(&lookup) ?: resolve_late_module(mod->name);
		if (m->error)
			patch_error(m->why, sizeof(m->why));
		m->nr_funcs = lookup.count;
		m->nr_parts = lookup.nr_parts;
		compat_module_text(mod, &start, &end);
		m->text_start = start;
		m->text_end = end;
		f = (void *)(m + 1);
		for (i = 0; i < lookup.count; i++) {
			describe_func(f, mod, lookup.funcs[i]);
			f++->missing = lookup.missing[i];
		}
		if (lookup.nr_parts)
			memcpy(f, lookup.parts, lookup.nr_parts * sizeof(*lookup.parts));
		m->nr_clones = lookup.nr_clones;
		m->more_clones = lookup.more_clones;
		clones_describe(&lookup, (void *)((struct suture_decl_part *)f + lookup.nr_parts));
		err = mailbox_send(&m->msg);
		overrides_report_again();
	}
	kvfree(m);
	lookup_free(&lookup);
	return err;
}
