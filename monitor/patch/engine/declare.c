/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * DECLARE: the patch, as the agent read it from the payload. Nothing in it is used before it has
 * been compared with the kernel's text, the manifest, and the installed patches.
 */
#include "core/log.h"
#include "lib/errno.h"
#include "lib/format.h"
#include "lib/mutate.h"
#include "lib/string.h"
#include "patch/engine/declaration.h"

/* ---- taking it over ---- */

static int copy_tables(struct engine *e, struct patch *p, const struct declaration *d)
{
	const struct suture_declare *m = d->m;
	size_t objects = m->nr_objects * sizeof(struct object);
	size_t funcs = m->nr_funcs * sizeof(struct func);
	size_t states = m->nr_states * sizeof(struct state);
	size_t size = objects + funcs + states + m->nr_funcs * sizeof(*p->by_addr);
	char *tables = e->ops.alloc(e->ops.ctx, size);
	u32 i;

	if (!tables)
		return -ENOMEM;
	if (p->objects)
		e->ops.free(e->ops.ctx, p->objects, p->tables_size);
	p->tables_size = size;
	p->objects = (void *)tables;
	p->funcs = (void *)(tables + objects);
	p->states = (void *)(tables + objects + funcs);
	p->by_addr = (void *)(tables + objects + funcs + states);
	p->nr_objects = m->nr_objects;
	p->nr_funcs = m->nr_funcs;
	p->nr_states = m->nr_states;
	p->replace = m->flags & SUTURE_DECL_REPLACE;
	p->text_start = m->text_start;
	p->text_end = m->text_end;
	for (i = 0; i < m->nr_objects; i++) {
		p->objects[i] = (struct object){
			.callbacks = d->objects[i].callbacks,
			.loaded = d->objects[i].loaded,
			.text_start = d->objects[i].text_start,
			.text_end = d->objects[i].text_end,
		};
		copy_text(p->objects[i].name, sizeof(p->objects[i].name), d->objects[i].name,
			  sizeof(d->objects[i].name));
	}
	for (i = 0; i < m->nr_funcs; i++) {
		p->funcs[i] = (struct func){
			.object = d->funcs[i].object,
			.sympos = d->funcs[i].sympos,
			.old_addr = d->funcs[i].old_addr,
			.old_size = d->funcs[i].old_size,
			.new_addr = d->funcs[i].new_addr,
			.new_size = d->funcs[i].new_size,
			.ftrace_site = d->funcs[i].ftrace_site,
			.missing = d->funcs[i].missing,
			.hook = d->funcs[i].hook,
		};
		p->funcs[i].nr_sites = MIN(d->funcs[i].nr_sites, SUTURE_MAX_SITES);
		memcpy(p->funcs[i].sites, d->funcs[i].sites, sizeof(p->funcs[i].sites));
		copy_text(p->funcs[i].name, sizeof(p->funcs[i].name), d->funcs[i].name,
			  sizeof(d->funcs[i].name));
	}
	patch_sort_funcs(p);
	for (i = 0; i < m->nr_states; i++)
		p->states[i] = (struct state){
			.id = d->states[i].id,
			.version = d->states[i].version,
			.callbacks = d->states[i].callbacks,
			.is_shadow = d->states[i].is_shadow,
			.block_disable = d->states[i].block_disable,
		};
	engine_free_parts(e, p);
	if (engine_grow_parts(e, p, m->nr_parts))
		return -ENOMEM;
	if (engine_take_clones(e, p, d->clones, m->nr_clones, m->more_clones))
		return -ENOMEM;
	for (i = 0; i < m->nr_parts; i++)
		p->parts[p->nr_parts++] = (struct part){
			.func = d->parts[i].func,
			.is_new = d->parts[i].is_new,
			.addr = d->parts[i].addr,
			.size = d->parts[i].size,
		};
	patch_sort_parts(p);
	return 0;
}

/* The record of a bundle that is being loaded, or a new one for a patch of the guest's own. */
static int find_record(struct engine *e, struct declaration *d, struct patch **out)
{
	const char *name = d->m->name;
	struct patch *p = engine_find(e, name);

	if (p && p->phase == PHASE_LOADING && p->loading && !p->error) {
		*out = p;
		return declaration_match(e, d, &p->bundle);
	}
	if (!e->config.guest_patches)
		return refuse(d, EPERM,
			      "no bundle stands behind it, and suture.conf does not say "
			      "guest_patches=yes");
	/* a module of that name can only be loaded if the last one is gone */
	if (p && p->phase == PHASE_DISABLED && !p->forced)
		patch_set_phase(p, PHASE_REVERTED);
	if (p && !patch_is_finished(p))
		return refuse(d, EEXIST, "a patch of that name is %s", patch_phase_name(p->phase));
	*out = engine_add_patch(e, name);
	if (!*out)
		return refuse(d, ENOMEM, "no memory for it");
	(*out)->from_bundle = false;
	patch_set_phase(*out, PHASE_LOADING);
	return 0;
}

/* Linux's checks before it checks for another patch in transition, in Linux's order. */
static enum script_kind refusal_of(struct engine *e, struct declaration *d, int *error)
{
	*error = declaration_compatible(e, d);
	if (*error)
		return SCRIPT_REFUSE;
	*error = declaration_missing(d);
	return *error ? SCRIPT_REFUSE_MISSING : SCRIPT_NONE;
}

/* The agent gets the error by its pump, with Linux's message for the guest's log. */
static int refuse_by_pump(struct engine *e, struct declaration *d, struct patch *p,
			  enum script_kind script, int error)
{
	int r = copy_tables(e, p, d);

	if (r)
		return refuse(d, ENOMEM, "no memory for its tables");
	engine_move_last(e, p);
	patch_blame(p, error, "%s", d->why);
	engine_begin(e, script, SUTURE_PUMP_INIT, p);
	return 0;
}

static int take_declaration(struct engine *e, struct declaration *d, struct patch *p)
{
	struct transition_report report = {0};
	int r = copy_tables(e, p, d);

	if (r)
		return refuse(d, ENOMEM, "no memory for its tables");
	r = patch_compare_text(e, p, d->placed, d->why, sizeof(d->why));
	if (r)
		return r;
	patch_take_uncalled(p, d->uncalled);
	if (patch_is_doubtful(p, d->why, sizeof(d->why)) && p->strict)
		return -ECANCELED;
	r = engine_validate(e, p, &report);
	if (r)
		return refuse(d, -r, "%s",
			      report.reason[0] ? report.reason : "a function takes no redirect");
	engine_move_last(e, p);
	p->installed = true;
	p->apply = (struct transition_report){0};
	engine_start_transition(e, p, true);
	engine_begin(e, SCRIPT_ENABLE, SUTURE_PUMP_INIT, p);
	patch_set_phase(p, PHASE_ENABLING);
	return 0;
}

/* ---- a replaced patch comes back ---- */

/* Only addresses in modules may have changed since the first declaration. */
static int match_record(struct declaration *d, const struct patch *p)
{
	const struct suture_declare *m = d->m;
	bool same = m->text_start == p->text_start && m->text_end == p->text_end &&
		    m->nr_objects == p->nr_objects && m->nr_funcs == p->nr_funcs &&
		    m->nr_states == p->nr_states &&
		    !(m->flags & SUTURE_DECL_REPLACE) == !p->replace;
	u32 i;

	for (i = 0; same && i < p->nr_objects; i++)
		same = !strcmp(d->objects[i].name, p->objects[i].name) &&
		       d->objects[i].callbacks == p->objects[i].callbacks;
	for (i = 0; same && i < p->nr_funcs; i++)
		same = !strcmp(d->funcs[i].name, p->funcs[i].name) &&
		       d->funcs[i].object == p->funcs[i].object &&
		       d->funcs[i].sympos == p->funcs[i].sympos &&
		       d->funcs[i].new_addr == p->funcs[i].new_addr &&
		       d->funcs[i].new_size == p->funcs[i].new_size;
	for (i = 0; same && i < p->nr_states; i++)
		same = d->states[i].id == p->states[i].id &&
		       d->states[i].version == p->states[i].version &&
		       d->states[i].callbacks == p->states[i].callbacks &&
		       d->states[i].is_shadow == p->states[i].is_shadow &&
		       d->states[i].block_disable == p->states[i].block_disable;
	return same ? declaration_missing(d)
		    : refuse(d, EBADMSG, "it is not what was declared before");
}

static u64 kept_objects(const struct patch *p)
{
	u64 kept = 0;
	u32 i;

	for (i = 0; i < p->nr_objects; i++)
		kept |= (u64)p->objects[i].kept << i;
	return kept;
}

static int take_back(struct engine *e, struct declaration *d, struct patch *p)
{
	struct transition_report report = {0};
	u64 kept = kept_objects(p);
	int r = MUTATION(same_declaration) ? 0 : match_record(d, p);
	u32 i;

	if (d->m->error) {
		copy_text(d->why, sizeof(d->why), d->m->why, sizeof(d->m->why));
		return d->m->error;
	}
	if (r)
		return r;
	r = copy_tables(e, p, d);
	for (i = 0; i < p->nr_objects; i++)
		p->objects[i].kept = kept >> i & 1;
	if (r)
		return refuse(d, ENOMEM, "no memory for its tables");
	r = patch_compare_text(e, p, NULL, d->why, sizeof(d->why));
	if (r)
		return r;
	r = engine_validate(e, p, &report);
	if (r)
		return refuse(d, -r, "%s",
			      report.reason[0] ? report.reason : "a function takes no redirect");
	for (i = 0; i < p->nr_objects; i++)
		p->objects[i].pre_patched = p->objects[i].post_patched =
			p->objects[i].kept && p->objects[i].loaded && !MUTATION(callbacks_kept);
	p->installed = p->returning = true;
	p->apply = (struct transition_report){0};
	patch_set_phase(p, PHASE_RETURNING);
	return 0;
}

static int restore_patch(struct engine *e, struct declaration *d)
{
	struct patch *p = engine_awaits(e, d->m->name);
	int r = p ? take_back(e, d, p) : refuse(d, EINVAL, "nobody has asked for its return");

	if (r && p)
		patch_blame(e->run.patch, r, "not rolled back: patch '%s' cannot return: %s",
			    p->name, d->why);
	return r;
}

static int answer_declaration(struct engine *e, struct declaration *d,
			      const struct suture_declare *m)
{
	struct patch *p = NULL;
	char name[SUTURE_NAME_LEN];
	bool again = m->msg.size >= sizeof(*m) && m->flags & SUTURE_DECL_RESTORE;
	enum script_kind refusal = SCRIPT_NONE;
	int r, error;

	engine_hear(e);
	/* steps that end in a moment are no reason to fail: Linux would wait for its mutex */
	if (!again &&
	    (e->run.kind != SCRIPT_NONE || (e->transition && e->transition->todo == TODO_COMPLETE)))
		return -EAGAIN;
	r = declaration_check(e, d, m);
	if (!r && again)
		return restore_patch(e, d);
	if (!r)
		refusal = refusal_of(e, d, &error);
	if (!r && refusal == SCRIPT_NONE && e->transition)
		r = refuse(d, EBUSY, "patch '%s' is in transition: one at a time",
			   e->transition->name);
	if (!r)
		r = find_record(e, d, &p);
	if (!r)
		r = refusal == SCRIPT_NONE ? take_declaration(e, d, p)
					   : refuse_by_pump(e, d, p, refusal, error);
	if (!r)
		return 0;

	copy_text(name, sizeof(name), m->name, sizeof(m->name));
	if (!p)
		p = engine_find(e, name);
	if (p && p->phase == PHASE_LOADING && !p->installed) {
		patch_blame(p, r, "%s", d->why);
		if (!p->loading)
			patch_set_phase(p, PHASE_FAILED);
	} else {
		log_limited(LOG_PATCH, LOG_WARN, "patch '%s' refused: %s (%s)", name, d->why,
			    errno_name(r));
	}
	return r;
}

int engine_declare(struct engine *e, const struct suture_declare *m)
{
	struct declaration d = {.m = m};
	int r = answer_declaration(e, &d, m);

	declaration_free(e, &d);
	return r;
}
