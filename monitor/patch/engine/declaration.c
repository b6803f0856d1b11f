/* SPDX-License-Identifier: BSD-2-Clause */
/* The checks of the agent's declaration. */
#include "patch/engine/declaration.h"
#include "lib/errno.h"
#include "lib/format.h"
#include "lib/string.h"

/* Sizes in kallsyms reach to the next symbol: they include the padding behind the function. */
#define PADDING_MAX 64

/* ---- the message's structure ---- */

static bool is_terminated(const char *s, size_t size)
{
	return s[0] && memchr(s, 0, size);
}

static int parse_tables(struct declaration *d, const struct suture_declare *m)
{
	u64 size;

	d->m = m;
	if (m->msg.size < sizeof(*m) || m->msg.size > SUTURE_LONG_MAX)
		return refuse(d, EMSGSIZE, "a declaration of %u bytes", m->msg.size);
	if (!is_terminated(m->name, sizeof(m->name)))
		return refuse(d, EINVAL, "a declaration without a name");
	if (!m->nr_objects || m->nr_objects > SUTURE_MAX_OBJECTS ||
	    m->nr_funcs > SUTURE_MAX_FUNCS || m->nr_states > SUTURE_MAX_STATES ||
	    m->nr_parts > SUTURE_MAX_PARTS || m->nr_clones > SUTURE_MAX_CLONES)
		return refuse(d, E2BIG,
			      "%u objects, %u functions, %u states, %u parts and %u clones of "
			      "functions; the limits are %u, %u, %u, %u, %u",
			      m->nr_objects, m->nr_funcs, m->nr_states, m->nr_parts, m->nr_clones,
			      SUTURE_MAX_OBJECTS, SUTURE_MAX_FUNCS, SUTURE_MAX_STATES,
			      SUTURE_MAX_PARTS, SUTURE_MAX_CLONES);
	if (m->flags & ~(SUTURE_DECL_REPLACE | SUTURE_DECL_RESTORE))
		return refuse(d, EINVAL, "unknown flags %#x", m->flags);
	if (!is_result(m->error) || (m->error && !(m->flags & SUTURE_DECL_RESTORE)) ||
	    !memchr(m->why, 0, sizeof(m->why)))
		return refuse(d, EINVAL, "%#x is no error that could be meant", (u32)m->error);
	d->objects = (const void *)(m + 1);
	d->funcs = (const void *)(d->objects + m->nr_objects);
	d->states = (const void *)(d->funcs + m->nr_funcs);
	d->parts = (const void *)(d->states + m->nr_states);
	d->clones = (const void *)(d->parts + m->nr_parts);
	size = sizeof(*m) + m->nr_objects * sizeof(*d->objects) + m->nr_funcs * sizeof(*d->funcs) +
	       m->nr_states * sizeof(*d->states) + m->nr_parts * sizeof(*d->parts) +
	       m->nr_clones * sizeof(*d->clones);
	if (size != m->msg.size)
		return refuse(d, EMSGSIZE, "its tables take %u bytes, the message has %u",
			      (unsigned int)size, m->msg.size);
	return 0;
}

/* ---- against the kernel's text ---- */

static bool range_inside(u64 start, u64 end, u64 addr, u64 size)
{
	return size && addr >= start && addr < end && size <= end - addr;
}

static bool is_text(const struct engine *e, bool module, u64 start, u64 end)
{
	return start < end && e->ops.is_text(e->ops.ctx, module, start, end - start);
}

bool engine_is_hook(const struct engine *e, u64 hook)
{
	return !hook || (hook % sizeof(u64) == 0 && is_text(e, true, hook, hook + sizeof(u64)));
}

static int check_objects(const struct engine *e, struct declaration *d)
{
	u32 i, j;

	for (i = 0; i < d->m->nr_objects; i++) {
		const struct suture_decl_object *o = &d->objects[i];

		if (!is_terminated(o->name, sizeof(o->name)) || o->loaded > 1 ||
		    o->callbacks >> (SUTURE_CB_POST_UNPATCH + 1))
			return refuse(d, EINVAL, "object %u is malformed", i);
		for (j = 0; j < i; j++)
			if (!strcmp(d->objects[j].name, o->name))
				return refuse(d, EINVAL, "object '%s' is there twice", o->name);
		if (!strcmp(o->name, "vmlinux")) {
			if (!o->loaded)
				return refuse(d, EINVAL, "vmlinux is said not to be loaded");
		} else if (o->loaded && !is_text(e, true, o->text_start, o->text_end)) {
			return refuse(d, EFAULT, "the text of module '%s' is not where modules are",
				      o->name);
		}
	}
	return 0;
}

/* Is it in the text of a loaded object? */
static bool in_object(const struct engine *e, const struct suture_decl_object *o, u64 addr,
		      u64 size)
{
	if (!strcmp(o->name, "vmlinux"))
		return size && addr + size > addr && is_text(e, false, addr, addr + size);
	return range_inside(o->text_start, o->text_end, addr, size);
}

static int check_sites(const struct engine *e, struct declaration *d,
		       const struct suture_decl_func *f)
{
	const struct suture_decl_object *o = &d->objects[f->object];
	u32 i;

	if (f->nr_sites > SUTURE_MAX_SITES)
		return refuse(d, E2BIG,
			      "%s: there are more than %u static keys, static calls and kprobes "
			      "where its jump would be: remove the kprobes, or patch its callers "
			      "instead",
			      f->name, SUTURE_MAX_SITES);
	for (i = 0; i < f->nr_sites; i++) {
		const struct suture_decl_site *s = &f->sites[i];

		if (!site_is_sane(s) ||
		    !in_object(e, o, f->old_addr + (u64)(s64)s->offset, s->len) ||
		    (s->room && !in_object(e, o, f->old_addr + (u64)(s64)s->target, s->room)))
			return refuse(d, EFAULT, "site %u of function '%s' is malformed", i,
				      f->name);
	}
	return 0;
}

static int check_old(const struct engine *e, struct declaration *d,
		     const struct suture_decl_func *f)
{
	const struct suture_decl_object *o = &d->objects[f->object];

	if (!o->loaded)
		return f->old_addr || f->old_size || f->missing
			       ? refuse(d, EINVAL,
					"function '%s' has an address, its module '%s' "
					"is not loaded",
					f->name, o->name)
			       : 0;
	if (f->missing)
		return !f->old_addr && !f->old_size && f->missing <= SUTURE_IN_INIT
			       ? 0
			       : refuse(d, EINVAL, "function '%s' is malformed", f->name);
	if (!f->old_addr)
		return refuse(d, ENOENT, "function '%s' is not in '%s'", f->name, o->name);
	if (!in_object(e, o, f->old_addr, f->old_size))
		return refuse(d, EFAULT, "function '%s' is not in the text of '%s'", f->name,
			      o->name);
	if (!engine_is_hook(e, f->hook))
		return refuse(d, EFAULT, "the hook of function '%s' is not in a module's memory",
			      f->name);
	return check_sites(e, d, f);
}

static int check_func(const struct engine *e, struct declaration *d, u32 i)
{
	const struct suture_decl_func *f = &d->funcs[i];
	int r;

	if (!is_terminated(f->name, sizeof(f->name)) || f->object >= d->m->nr_objects)
		return refuse(d, EINVAL, "function %u is malformed", i);
	r = check_old(e, d, f);
	if (!r && !range_inside(d->m->text_start, d->m->text_end, f->new_addr, f->new_size))
		return refuse(d, EFAULT, "the new '%s' is not in the payload's text", f->name);
	return r;
}

/* A function may have several names, as system calls do: compare addresses. */
static int check_originals(struct declaration *d)
{
	u32 *order = d->by_name;

	decl_by_addr(order, d->funcs, d->m->nr_funcs);
	for (u32 i = 1; i < d->m->nr_funcs; i++) {
		const struct suture_decl_func *f = &d->funcs[order[i]];
		const struct suture_decl_func *other = &d->funcs[order[i - 1]];

		if (f->old_addr && f->old_addr == other->old_addr && strcmp(f->name, other->name))
			return refuse(d, EINVAL, "'%s' and '%s' are the same function", f->name,
				      other->name);
		if (f->old_addr && f->old_addr == other->old_addr)
			return refuse(d, EINVAL, "function '%s' is there twice", f->name);
	}
	return 0;
}

static int check_names(struct declaration *d)
{
	u32 *order = d->by_name;

	decl_by_name(order, d->funcs, d->m->nr_funcs);
	for (u32 i = 1; i < d->m->nr_funcs; i++)
		if (decl_is_same(&d->funcs[order[i]], &d->funcs[order[i - 1]]))
			return refuse(d, EINVAL, "function '%s' is there twice",
				      d->funcs[order[i]].name);
	return 0;
}

static int check_twice(const struct engine *e, struct declaration *d)
{
	int r;

	if (!d->m->nr_funcs)
		return 0;
	d->by_name = e->ops.alloc(e->ops.ctx, d->m->nr_funcs * sizeof(*d->by_name));
	if (!d->by_name)
		return refuse(d, ENOMEM, "no memory for its tables");
	r = check_originals(d);
	return r ? r : check_names(d);
}

static int check_funcs(const struct engine *e, struct declaration *d)
{
	int r = 0;

	if (!is_text(e, true, d->m->text_start, d->m->text_end))
		return refuse(d, EFAULT, "the payload's text is not where modules are");
	for (u32 i = 0; !r && i < d->m->nr_funcs; i++)
		r = check_func(e, d, i);
	return r ? r : check_twice(e, d);
}

static int check_parts(const struct engine *e, struct declaration *d)
{
	u32 i;

	for (i = 0; i < d->m->nr_parts; i++) {
		const struct suture_decl_part *part = &d->parts[i];
		const struct suture_decl_object *o;

		if (part->func >= d->m->nr_funcs || part->is_new > 1)
			return refuse(d, EINVAL, "part %u of a function is malformed", i);
		o = &d->objects[d->funcs[part->func].object];
		if (part->is_new ? !range_inside(d->m->text_start, d->m->text_end, part->addr,
						 part->size)
				 : !o->loaded || !in_object(e, o, part->addr, part->size))
			return refuse(
				d, EFAULT, "a part of function '%s' is not in the text of '%s'",
				d->funcs[part->func].name, part->is_new ? d->m->name : o->name);
	}
	return 0;
}

static int check_clones(struct declaration *d)
{
	u32 i;

	for (i = 0; i < d->m->nr_clones; i++)
		if (!clone_is_sane(&d->clones[i], d->m->nr_funcs))
			return refuse(d, EINVAL, "clone %u of a function is malformed", i);
	return 0;
}

static int check_states(struct declaration *d)
{
	u32 i, j;

	for (i = 0; i < d->m->nr_states; i++) {
		const struct suture_decl_state *st = &d->states[i];

		if (!st->id || st->is_shadow > 1 || st->block_disable > 1 ||
		    st->callbacks >> (SUTURE_CB_SHADOW_DTOR + 1))
			return refuse(d, EINVAL, "state %u is malformed", i);
		for (j = 0; j < i; j++)
			if (d->states[j].id == st->id)
				return refuse(d, EINVAL, "state %llu is there twice", st->id);
	}
	return 0;
}

/* ---- against the manifest ---- */

static int match_func(struct declaration *d, const struct bundle *b, u32 object, u32 index)
{
	struct suture_manifest_func want = bundle_func(b, index);
	const char *name = bundle_string(b, want.name);
	u32 at = decl_find(d->by_name, d->funcs, d->m->nr_funcs, object, name, want.sympos);
	const struct suture_decl_func *f;

	if (at == d->m->nr_funcs)
		return refuse(d, EBADMSG,
			      "the payload does not declare function '%s' (sympos %u) of the "
			      "manifest",
			      name, want.sympos);
	f = &d->funcs[d->by_name[at]];
	d->placed[index] = (struct text_func){f->old_addr, f->new_addr};
	if (want.size && f->old_size &&
	    (f->old_size < want.size || f->old_size - want.size >= PADDING_MAX))
		return refuse(d, EBADMSG,
			      "function '%s' has %llu bytes in this kernel, %u in the one "
			      "that the bundle was built for",
			      name, f->old_size, want.size);
	if (want.flags & SUTURE_MANIFEST_UNCALLED)
		d->uncalled[d->by_name[at] / 64] |= 1ull << d->by_name[at] % 64;
	return 0;
}

static int match_object(struct declaration *d, const struct bundle *b, u32 index, u32 *func)
{
	struct suture_manifest_object want = bundle_object(b, index);
	const char *name = bundle_string(b, want.name);
	u32 i, n;
	int r;

	for (i = 0; i < d->m->nr_objects; i++)
		if (!strcmp(d->objects[i].name, name))
			break;
	if (i == d->m->nr_objects)
		return refuse(d, EBADMSG,
			      "the payload does not declare object '%s' of the manifest", name);
	for (n = 0; n < want.nr_funcs; n++) {
		r = match_func(d, b, i, (*func)++);
		if (r)
			return r;
	}
	return 0;
}

static int match_state(struct declaration *d, const struct bundle *b, u32 index)
{
	struct suture_manifest_state want = bundle_state(b, index);
	u32 i;

	for (i = 0; i < d->m->nr_states; i++) {
		const struct suture_decl_state *st = &d->states[i];

		if (st->id == want.id && st->version == want.version &&
		    (st->is_shadow | st->block_disable << 1) == want.flags)
			return 0;
	}
	return refuse(d, EBADMSG, "the payload does not declare state %llu as the manifest does",
		      want.id);
}

/* Names are unique on both sides: equal counts and every one found make equal sets. */
int declaration_match(const struct engine *e, struct declaration *d, const struct bundle *b)
{
	const struct suture_manifest *want = &b->manifest;
	u32 i, func = 0;
	int r = 0;

	if (want->nr_objects != d->m->nr_objects || want->nr_funcs != d->m->nr_funcs ||
	    want->nr_states != d->m->nr_states)
		return refuse(d, EBADMSG,
			      "the payload declares %u objects, %u functions, %u states, the "
			      "manifest %u, %u, %u",
			      d->m->nr_objects, d->m->nr_funcs, d->m->nr_states, want->nr_objects,
			      want->nr_funcs, want->nr_states);
	if (!(want->flags & SUTURE_MANIFEST_REPLACE) != !(d->m->flags & SUTURE_DECL_REPLACE))
		return refuse(d, EBADMSG, "payload and manifest differ in the replace flag");
	if (want->nr_funcs)
		d->placed = e->ops.alloc(e->ops.ctx, want->nr_funcs * sizeof(*d->placed));
	if (want->nr_funcs && !d->placed)
		return refuse(d, ENOMEM, "no memory for its tables");
	for (i = 0; !r && i < want->nr_objects; i++)
		r = match_object(d, b, i, &func);
	for (i = 0; !r && i < want->nr_states; i++)
		r = match_state(d, b, i);
	return r;
}

/* ---- against the installed patches ---- */

static const struct suture_decl_state *declared_state(const struct declaration *d, u64 id)
{
	u32 i;

	for (i = 0; i < d->m->nr_states; i++)
		if (d->states[i].id == id)
			return &d->states[i];
	return NULL;
}

/*
 * States with a version follow the older API's rule, the others that of document 002: see
 * docs/semantics.md.
 */
int declaration_compatible(struct engine *e, struct declaration *d)
{
	bool replace = d->m->flags & SUTURE_DECL_REPLACE;
	const struct suture_decl_state *mine;
	struct patch *owner;
	struct state *st;
	u32 n;

	for (n = 0; (st = engine_nth_state(e, n, &owner)); n++) {
		mine = declared_state(d, st->id);
		if (!mine && replace && st->block_disable)
			return refuse(d, EINVAL,
				      "it would remove state %llu of patch '%s', which is marked "
				      "block_disable",
				      st->id, owner->name);
		if (!mine && replace && st->version)
			return refuse(d, EINVAL,
				      "it replaces patch '%s' without having its state "
				      "%llu",
				      owner->name, st->id);
		if (mine && mine->version < st->version)
			return refuse(d, EINVAL,
				      "its state %llu has version %u, that of patch '%s' has %u",
				      st->id, mine->version, owner->name, st->version);
	}
	return 0;
}

int declaration_missing(struct declaration *d)
{
	u32 i;

	for (i = 0; i < d->m->nr_funcs; i++) {
		const struct suture_decl_func *f = &d->funcs[i];

		if (!f->missing)
			continue;
		missing_text(d->why, sizeof(d->why), f->missing, d->objects[f->object].name,
			     f->name, f->sympos);
		return missing_error(f->missing);
	}
	return 0;
}

int declaration_check(const struct engine *e, struct declaration *d, const struct suture_declare *m)
{
	int r = parse_tables(d, m);

	if (!r)
		r = check_objects(e, d);
	if (!r)
		r = check_funcs(e, d);
	if (!r)
		r = check_states(d);
	if (!r)
		r = check_parts(e, d);
	if (!r)
		r = check_clones(d);
	return r;
}

void declaration_free(const struct engine *e, struct declaration *d)
{
	if (d->by_name)
		e->ops.free(e->ops.ctx, d->by_name, d->m->nr_funcs * sizeof(*d->by_name));
	if (d->placed)
		e->ops.free(e->ops.ctx, d->placed, d->m->nr_funcs * sizeof(*d->placed));
	d->by_name = NULL;
	d->placed = NULL;
}
