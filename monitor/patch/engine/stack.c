/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which code is active, and the switches that change it.
 *
 * All patches that name the same original form that function's stack, in the order in which they
 * were enabled; the newest that is on is the code that runs. A change turns functions on or off.
 * The switch has to make the difference between the tops before and after the change.
 */
#include "core/log.h"
#include "lib/errno.h"
#include "lib/format.h"
#include "lib/mutate.h"
#include "lib/string.h"
#include "patch/engine/types.h"

struct change {
	struct patch *patch;
	struct object *object; /* NULL: all of the patch */
	bool on;
	bool replace; /* and all older patches off */
	bool restore; /* and those that return on */
};

static bool on_after(const struct change *c, const struct patch *p, const struct func *f)
{
	const struct object *o = &p->objects[f->object];

	if (c->restore && p->returning && !MUTATION(functions_return))
		return o->loaded && o->patched;
	if (p != c->patch)
		return f->on &&
		       !(c->replace && (patch_is_older(p, c->patch) || MUTATION(replace_older)));
	if (c->object && c->object != o)
		return f->on;
	return c->on && o->loaded && (c->object || o->patched);
}

/*
 * The function that is (c == NULL) or will be on top of the stack of the original at key; *owner is
 * its patch, and stays as it is if there is none.
 */
static const struct func *top_func(const struct engine *e, u64 key, const struct change *c,
				   const struct patch **owner)
{
	const struct func *found = NULL, *f;
	const struct patch *p;

	for (p = e->patches; p; p = p->next) {
		f = p->installed ? patch_func_at(p, key) : NULL;
		if (f && (c ? on_after(c, p, f) : f->on) && !(found && MUTATION(newest_wins))) {
			found = f;
			*owner = p;
		}
	}
	return found;
}

const struct func *engine_active(const struct engine *e, u64 key, const struct patch **owner)
{
	return top_func(e, key, NULL, owner);
}

void engine_fill_switch(struct switch_func *s, const struct func *f, const struct func *before,
			const struct func *after)
{
	*s = (struct switch_func){
		.key = f->old_addr,
		.old_addr = f->old_addr,
		.old_size = f->old_size,
		.active_addr = before ? before->new_addr : f->old_addr,
		.active_size = before ? before->new_size : f->old_size,
		.new_addr = after ? after->new_addr : 0,
		.ftrace_site = f->ftrace_site,
		.sites = f->sites,
		.nr_sites = f->nr_sites,
		.hook = f->hook,
	};
	str_copy(s->name, f->name, sizeof(s->name));
}

/* Is p the first patch that changes the stack of the original at key? Each key counts once. */
static bool is_first(const struct engine *e, const struct patch *p, u64 key, const struct change *c)
{
	const struct patch *q;
	const struct func *f;

	for (q = e->patches; q != p; q = q->next) {
		f = q->installed ? patch_func_at(q, key) : NULL;
		if (f && f->on != on_after(c, q, f))
			return false;
	}
	return true;
}

/* The functions and ranges that change; only counted while `funcs` is NULL. */
struct difference {
	struct switch_func *funcs;
	struct check_range *extra;
	u32 nr_funcs, nr_extra;
	enum switch_mode mode;
};

/* This code is jumped to as well: a task at its first instruction is in it. */
static void add_extra(struct difference *d, const char *name, u64 start, u64 size)
{
	if (d->mode != SWITCH_SAFE)
		return;
	if (d->extra)
		d->extra[d->nr_extra] = (struct check_range){start - !MUTATION(jumped_to_parts),
							     start + size, name};
	d->nr_extra++;
}

/* Add the parts of the active code: of f of p, or of the original that f names. */
static void add_parts(struct difference *d, const struct patch *p, const struct func *f,
		      bool is_new)
{
	u32 func = (u32)(f - p->funcs), i;

	for (i = patch_first_part(p, func); i < p->nr_parts && p->parts[i].func == func; i++) {
		const struct part *part = &p->parts[i];

		if (part->is_new == is_new && part->size && !MUTATION(split_off_parts))
			add_extra(d, f->name, part->addr, part->size);
	}
}

/* A payload that is switched off may be freed: no task may be in its text. */
static void add_payloads(const struct engine *e, const struct change *c, struct difference *d)
{
	const struct patch *p;

	if (MUTATION(payload_text))
		return;
	for (p = e->patches; p && !c->object; p = p->next) {
		if (!p->installed || !p->on ||
		    (p == c->patch ? c->on : !c->replace || !patch_is_older(p, c->patch)))
			continue;
		add_extra(d, p->text_name, p->text_start, p->text_end - p->text_start);
	}
}

static void find_difference(const struct engine *e, const struct change *c, struct difference *d)
{
	const struct func *before, *after, *f;
	const struct patch *p, *active, *later;
	u32 i;

	d->nr_funcs = d->nr_extra = 0;

	for (p = e->patches; p; p = p->next) {
		for (i = 0; p->installed && i < p->nr_funcs; i++) {
			f = &p->funcs[i];
			if (f->on == on_after(c, p, f) || !is_first(e, p, f->old_addr, c))
				continue;
			active = p;
			before = top_func(e, f->old_addr, NULL, &active);
			after = top_func(e, f->old_addr, c, &later);
			if (before == after)
				continue;
			if (d->funcs)
				engine_fill_switch(&d->funcs[d->nr_funcs], f, before, after);
			d->nr_funcs++;
			add_parts(d, active, before ? before : f, before);
		}
	}
	add_payloads(e, c, d);
}

static void turn_func(struct func *f, bool on)
{
	if (f->on == on)
		return;
	f->on = on;
	func_found(f);
}

static void commit_change(struct engine *e, const struct change *c)
{
	struct patch *p;
	u32 i;

	for (p = e->patches; p; p = p->next) {
		for (i = 0; p->installed && i < p->nr_funcs; i++)
			turn_func(&p->funcs[i], on_after(c, p, &p->funcs[i]));
		if (c->restore && p->returning)
			p->on = true;
	}
	if (!c->object)
		c->patch->on = c->on;
	if (!c->replace)
		return;
	for (p = e->patches; p != c->patch; p = p->next)
		p->on = false;
}

static int try_change(struct engine *e, const struct change *c, enum switch_mode mode,
		      u64 budget_us, struct transition_report *r)
{
	struct difference d = {.mode = mode};
	struct switch_set set;
	size_t funcs, size;
	void *memory;
	int ret;

	find_difference(e, c, &d);
	funcs = d.nr_funcs * sizeof(*d.funcs);
	size = funcs + d.nr_extra * sizeof(*d.extra);
	if (size) {
		memory = e->ops.alloc(e->ops.ctx, size);
		if (!memory) {
			str_copy(r->reason, "no memory for the list of functions",
				 sizeof(r->reason));
			return -EAGAIN;
		}
		d.funcs = memory;
		d.extra = (void *)((char *)memory + funcs);
		find_difference(e, c, &d);
		set = (struct switch_set){.funcs = d.funcs,
					  .count = d.nr_funcs,
					  .mode = mode,
					  .extra = d.extra,
					  .nr_extra = d.nr_extra,
					  .budget_us = budget_us,
					  .limit_us = e->config.budget_max_us};
		ret = e->ops.try_switch(e->ops.ctx, &set, r);
		e->ops.free(e->ops.ctx, memory, size);
		if (ret)
			return ret;
	}
	if (r->mismatch[0])
		log_limited(LOG_PATCH, LOG_ERROR, "patch '%s' was switched, but %s", c->patch->name,
			    r->mismatch);
	commit_change(e, c);
	engine_look_anew(e);
	return 0;
}

int engine_switch_object(struct engine *e, struct patch *p, struct object *o, bool on)
{
	struct change c = {.patch = p, .object = o, .on = on};
	struct transition_report r = {0};
	int ret = try_change(e, &c, SWITCH_OFFLINE, e->config.budget_max_us, &r);

	if (ret && ret != -EAGAIN)
		log_limited(LOG_PATCH, LOG_ERROR, "patch '%s', object '%s': %s (%s)", p->name,
			    o->name, r.reason, errno_name(ret));
	return ret;
}

int engine_switch_transition(struct engine *e, struct transition_report *r)
{
	struct change c = {.patch = e->transition,
			   .on = e->target_on,
			   .replace = e->target_on && e->transition->replace,
			   .restore = !e->target_on};

	return try_change(e, &c, e->force ? SWITCH_FORCED : SWITCH_SAFE, e->budget_us, r);
}

int engine_switch_off(struct engine *e, struct patch *p)
{
	struct change c = {.patch = p};
	struct transition_report r = {0};

	return try_change(e, &c, SWITCH_OFFLINE, e->config.budget_max_us, &r);
}

void patch_forget_redirects(struct patch *p, const struct object *o)
{
	u32 i;

	for (i = 0; i < p->nr_funcs; i++)
		if (!o || o == &p->objects[p->funcs[i].object])
			p->funcs[i].on = false;
}

int engine_validate(struct engine *e, struct patch *p, struct transition_report *r)
{
	struct switch_func *funcs;
	const struct patch *owner;
	struct switch_set set;
	size_t size = p->nr_funcs * sizeof(*funcs);
	u32 i, n = 0;
	int ret;

	if (!p->nr_funcs)
		return 0;
	funcs = e->ops.alloc(e->ops.ctx, size);
	if (!funcs) {
		str_copy(r->reason, "no memory for the list of functions", sizeof(r->reason));
		return -ENOMEM;
	}
	for (i = 0; i < p->nr_funcs; i++)
		if (p->objects[p->funcs[i].object].loaded)
			engine_fill_switch(&funcs[n++], &p->funcs[i],
					   top_func(e, p->funcs[i].old_addr, NULL, &owner),
					   &p->funcs[i]);
	set = (struct switch_set){.funcs = funcs, .count = n};
	ret = n ? e->ops.validate(e->ops.ctx, &set, r) : 0;
	e->ops.free(e->ops.ctx, funcs, size);
	return ret;
}
