/* SPDX-License-Identifier: BSD-2-Clause */
/* Modules that come and go, payloads among them. */
#include "core/log.h"
#include "lib/errno.h"
#include "lib/mutate.h"
#include "lib/string.h"
#include "patch/engine/script.h"

/* Attempts to switch one object of a module that comes or goes, one a millisecond. */
#define OBJECT_TRIES 2000

struct object *patch_event_object(struct patch *p, const char *module, enum object_event event)
{
	struct object *o = p->installed ? patch_object(p, module) : NULL;

	return o && o->event == event ? o : NULL;
}

/* ---- the message: what the notifier says ---- */

/* Numbers of a message's functions. */
struct resolution {
	const struct suture_module *m;
	u32 *by_name; /* sorted, as decl_by_name() does it */
	u32 *func_of; /* the function of the patch at hand that it is, + 1 */
};

static const struct suture_decl_func *funcs_of(const struct suture_module *m)
{
	return (const void *)(m + 1);
}

static const struct suture_decl_part *parts_of(const struct suture_module *m)
{
	return (const void *)(funcs_of(m) + m->nr_funcs);
}

static bool in_module(const struct engine *e, const struct suture_module *m, u64 addr, u64 size)
{
	return size && addr >= m->text_start && addr < m->text_end && size <= m->text_end - addr &&
	       e->ops.is_text(e->ops.ctx, true, addr, size);
}

static bool sites_are_in(const struct engine *e, const struct suture_module *m,
			 const struct suture_decl_func *d)
{
	u32 i;

	for (i = 0; i < d->nr_sites && i < SUTURE_MAX_SITES; i++) {
		const struct suture_decl_site *s = &d->sites[i];

		if (!site_is_sane(s) ||
		    !in_module(e, m, d->old_addr + (u64)(s64)s->offset, s->len) ||
		    (s->room && !in_module(e, m, d->old_addr + (u64)(s64)s->target, s->room)))
			return false;
	}
	return d->nr_sites <= SUTURE_MAX_SITES;
}

/* The function of the message that is function f of a patch; or NULL. */
static const struct suture_decl_func *resolved_func(const struct resolution *r,
						    const struct func *f)
{
	const struct suture_decl_func *funcs = funcs_of(r->m);
	u32 at = decl_find(r->by_name, funcs, r->m->nr_funcs, 0, f->name, f->sympos);

	return at < r->m->nr_funcs ? &funcs[r->by_name[at]] : NULL;
}

static int check_resolved(const struct engine *e, const struct patch *p, const struct object *o,
			  const struct func *f, const struct suture_decl_func *d,
			  const struct suture_module *m)
{
	if (!in_module(e, m, d->old_addr, d->old_size)) {
		log_limited(LOG_MODULE, LOG_WARN,
			    "patch '%s': function '%s' is not in the text of module '%s'", p->name,
			    f->name, o->name);
		return -EFAULT;
	}
	if (!sites_are_in(e, m, d)) {
		log_limited(LOG_MODULE, LOG_WARN,
			    "patch '%s': what the kernel writes to in function '%s' is not "
			    "in the text of module '%s'",
			    p->name, f->name, o->name);
		return -EFAULT;
	}
	if (!engine_is_hook(e, d->hook)) {
		log_limited(LOG_MODULE, LOG_WARN,
			    "patch '%s': the hook of function '%s' is not in a module's memory",
			    p->name, f->name);
		return -EFAULT;
	}
	return 0;
}

static int resolve_func(const struct engine *e, const struct patch *p, const struct object *o,
			struct func *f, const struct resolution *r)
{
	const struct suture_decl_func *d = resolved_func(r, f);
	char text[REASON_LEN];
	int err;

	f->missing = !d || (!d->old_addr && !d->missing) ? SUTURE_NOT_FOUND : d->missing;
	if (f->missing) {
		missing_text(text, sizeof(text), f->missing, o->name, f->name, f->sympos);
		log_limited(LOG_MODULE, LOG_WARN, "patch '%s': %s", p->name, text);
		return missing_error(f->missing);
	}
	err = check_resolved(e, p, o, f, d, r->m);
	if (err)
		return err;
	f->old_addr = d->old_addr;
	f->old_size = d->old_size;
	f->ftrace_site = d->ftrace_site;
	f->nr_sites = d->nr_sites;
	memcpy(f->sites, d->sites, sizeof(f->sites));
	f->hook = d->hook;
	r->func_of[d - funcs_of(r->m)] = (u32)(f - p->funcs) + 1;
	return 0;
}

static int check_originals(const struct patch *p, const struct object *o)
{
	const struct func *other, *f = patch_same_original(p, &other);

	if (!f)
		return 0;
	log_limited(LOG_MODULE, LOG_WARN,
		    "patch '%s': '%s' and '%s' are the same function of module '%s'", p->name,
		    other->name, f->name, o->name);
	return -EINVAL;
}

/* Take over the parts of the patch's functions. */
static int resolve_parts(struct engine *e, struct patch *p, const struct resolution *r)
{
	const struct suture_decl_part *parts = parts_of(r->m);
	u32 i, n = 0;
	int err;

	for (i = 0; i < r->m->nr_parts; i++) {
		if (!r->func_of[parts[i].func])
			continue;
		if (!in_module(e, r->m, parts[i].addr, parts[i].size))
			return -EFAULT;
		n++;
	}
	err = engine_grow_parts(e, p, n);
	for (i = 0; !err && i < r->m->nr_parts; i++)
		if (r->func_of[parts[i].func])
			p->parts[p->nr_parts++] =
				(struct part){.func = r->func_of[parts[i].func] - 1,
					      .addr = parts[i].addr,
					      .size = parts[i].size};
	patch_sort_parts(p);
	return err;
}

static void resolve_clones(struct engine *e, struct patch *p, struct object *o,
			   const struct resolution *r)
{
	const struct suture_decl_clone *clones = module_clones(r->m);
	u32 before = p->nr_clones + o->more_clones;

	for (u32 i = 0; i < r->m->nr_clones; i++)
		if (r->func_of[clones[i].func])
			engine_add_clone(e, p, r->func_of[clones[i].func] - 1, &clones[i]);
	if (p->nr_clones + o->more_clones > before)
		o->more_clones += r->m->more_clones;
}

/* Take over the addresses of a module that comes. The payload's code waits for it already. */
static int resolve_object(struct engine *e, struct patch *p, struct object *o,
			  const struct resolution *r)
{
	u32 object = (u32)(o - p->objects);
	int err = 0;

	o->text_start = r->m->text_start;
	o->text_end = r->m->text_end;
	for (u32 i = 0; i < r->m->nr_funcs; i++)
		r->func_of[i] = 0;
	for (u32 i = 0; !err && i < p->nr_funcs; i++)
		if (p->funcs[i].object == object)
			err = resolve_func(e, p, o, &p->funcs[i], r);
	patch_sort_funcs(p);
	if (!err)
		err = check_originals(p, o);
	if (!err)
		err = resolve_parts(e, p, r);
	if (!err)
		resolve_clones(e, p, o, r);
	return err;
}

/* The module is gone, or not loaded yet: forget its addresses, where another module may be loaded.
 */
static void unload_object(struct patch *p, struct object *o)
{
	u32 i;

	o->loaded = false;
	for (i = 0; i < p->nr_funcs; i++)
		if (&p->objects[p->funcs[i].object] == o) {
			p->funcs[i].old_addr = p->funcs[i].old_size = p->funcs[i].missing = 0;
			p->funcs[i].overridden[0] = 0;
		}
	patch_sort_funcs(p);
	patch_forget_parts(p, o);
	patch_forget_clones(p, o);
}

static void module_coming(struct engine *e, const struct suture_module *m)
{
	struct resolution r = {.m = m};
	size_t size = (2 * m->nr_funcs + 1) * sizeof(*r.by_name);
	int err = m->error;
	struct patch *p;
	struct object *o;

	if (m->error)
		log_limited(LOG_MODULE, LOG_WARN, "module '%s' cannot be patched: %s", m->name,
			    m->why);
	if (!m->error)
		r.by_name = e->ops.alloc(e->ops.ctx, size);
	if (r.by_name) {
		r.func_of = r.by_name + m->nr_funcs;
		decl_by_name(r.by_name, funcs_of(m), m->nr_funcs);
	} else if (!err) {
		err = -ENOMEM;
	}
	for (p = e->patches; p; p = p->next) {
		o = p->installed && !p->orphan ? patch_object(p, m->name) : NULL;
		if (!o || o->loaded)
			continue;
		unload_object(p, o); /* in case a pump has ended before its script */
		o->event = EVENT_COMING;
		o->event_error = err ? err : resolve_object(e, p, o, &r);
	}
	if (r.by_name)
		e->ops.free(e->ops.ctx, r.by_name, size);
}

static void module_going(struct engine *e, const char *name)
{
	struct patch *p;
	struct object *o;

	for (p = e->patches; p; p = p->next) {
		o = patch_object(p, name);
		if (o && p->installed)
			o->event = o->loaded ? EVENT_GOING : EVENT_NONE;
		else if (o)
			o->kept = false; /* a module of that name that comes later has not seen the
					    callbacks */
	}
}

/* The payload itself is about to be freed. */
static void payload_going(struct engine *e, struct patch *p)
{
	if (!p->installed) {
		/* a job that is under way ends with its report: until then the agent is busy */
		if (p->phase == PHASE_DISABLED || (p->phase == PHASE_UNLOADING && !p->job_given))
			patch_set_phase(p, p->error ? PHASE_FAILED : PHASE_REVERTED);
		return;
	}
	p->gone = true;
	patch_blame(p, -ECANCELED,
		    p->live ? "its module was unloaded by force while the patch was on"
			    : "the payload's init failed after klp_enable_patch(): see the guest's "
			      "kernel log");
	if (e->run.kind != SCRIPT_NONE && e->run.patch == p)
		e->run.kind = SCRIPT_NONE;
	if (e->transition && e->transition != p) {
		/* one transition at a time, and the memory is freed now: off without callbacks */
		if (engine_switch_off(e, p))
			log_limited(LOG_PATCH, LOG_ERROR,
				    "patch '%s': its redirects are left to the agent", p->name);
		patch_forget_redirects(p, NULL);
		states_pass_on(e, p);
		engine_forget(e, p);
		patch_set_phase(p, PHASE_FAILED);
		return;
	}
	engine_start_transition(e, p, false);
	p->todo = TODO_ABANDON;
}

int engine_module(struct engine *e, const struct suture_module *m)
{
	const struct suture_decl_func *funcs = (const void *)(m + 1);
	struct patch *p;
	u32 i;

	engine_hear(e);
	if (!memchr(m->name, 0, sizeof(m->name)) || !m->name[0] ||
	    !memchr(m->why, 0, sizeof(m->why)) || !is_result(m->error) ||
	    m->nr_funcs > SUTURE_LONG_MAX / sizeof(*funcs) || m->nr_parts > SUTURE_MAX_PARTS ||
	    m->nr_clones > SUTURE_MAX_CLONES ||
	    m->msg.size != sizeof(*m) + m->nr_funcs * sizeof(*funcs) +
				   m->nr_parts * sizeof(struct suture_decl_part) +
				   m->nr_clones * sizeof(struct suture_decl_clone))
		return -EINVAL;
	for (i = 0; i < m->nr_funcs; i++)
		if (!memchr(funcs[i].name, 0, sizeof(funcs[i].name)))
			return -EINVAL;
	for (i = 0; i < m->nr_parts; i++)
		if (parts_of(m)[i].func >= m->nr_funcs)
			return -EINVAL;
	for (i = 0; i < m->nr_clones; i++)
		if (!clone_is_sane(&module_clones(m)[i], m->nr_funcs))
			return -EINVAL;
	p = engine_find(e, m->name);
	switch (m->state) {
	case SUTURE_MODULE_COMING:
		if (m->text_start >= m->text_end)
			return -EINVAL;
		module_coming(e, m);
		return 0;
	case SUTURE_MODULE_LIVE:
		if (p && (p->installed || p->phase == PHASE_LOADING))
			p->live = true;
		return 0;
	case SUTURE_MODULE_GOING:
		if (p)
			payload_going(e, p);
		module_going(e, m->name);
		return 0;
	default:
		return -EINVAL;
	}
}

/* ---- the steps: what Linux does in klp_module_coming() and klp_module_going() ---- */

/* `by` refused it; those behind have not seen it. */
static void refuse_coming(struct engine *e, const char *module, struct patch *by)
{
	struct patch *p;
	struct object *o;

	unload_object(by, patch_object(by, module));
	for (p = e->patches; p; p = p->next) {
		o = patch_event_object(p, module, EVENT_COMING);
		if (!o)
			continue;
		o->event = EVENT_NONE;
		unload_object(p, o);
	}
}

bool script_coming(struct engine *e, struct script *s, struct suture_step_reply *r)
{
	SCRIPT_BEGIN(s)
	for (s->p = e->patches; s->p; s->p = s->p->next) {
		s->o = patch_event_object(s->p, s->module, EVENT_COMING);
		if (!s->o)
			continue;
		s->o->event = EVENT_NONE;
		s->o->loaded = true;
		s->error = s->o->event_error;
		if (s->error) {
			if (patch_missing(s->p, s->o))
				GIVE(s, script_say_missing(r, s->p, patch_missing(s->p, s->o)));
			GIVE(s, script_say(r, SAY_WARN,
					   "failed to initialize patch '%s' for module '%s' (%d)",
					   s->p->name, s->module, s->error));
			goto fail;
		}
		GIVE(s, script_say(r, SAY_NOTICE, "applying patch '%s' to loading module '%s'",
				   s->p->name, s->module));

		CALL_OBJECT(s, r, s->p, s->o - s->p->objects, SUTURE_CB_PRE_PATCH);
		s->error = s->result;
		if (s->error) {
			GIVE(s, script_say(r, SAY_WARN, "pre-patch callback failed for object '%s'",
					   s->module));
			goto fail;
		}
		s->o->pre_patched = true;

		/* an object of a patch that is on is switched now; a transition switches its
		 * objects itself */
		for (s->tries = 0; s->p->on; s->tries++) {
			s->error = engine_switch_object(e, s->p, s->o, true);
			if (s->error != -EAGAIN || s->tries >= OBJECT_TRIES)
				break;
			GIVE(s, script_wait(r));
		}
		if (s->error) {
			GIVE(s, script_say(r, SAY_WARN,
					   "failed to apply patch '%s' to module '%s' (%d)",
					   s->p->name, s->module, s->error));
			s->o->pre_patched = false;
			CALL_OBJECT(s, r, s->p, s->o - s->p->objects, SUTURE_CB_POST_UNPATCH);
			goto fail;
		}
		s->o->patched = true;
		if ((s->p != e->transition && !s->p->returning) || MUTATION(joins_the_switch)) {
			s->o->post_patched = true;
			CALL_OBJECT(s, r, s->p, s->o - s->p->objects, SUTURE_CB_POST_PATCH);
		}
	}
	return script_finish(e, r, SUTURE_STEP_DONE, 0);

fail:
	GIVE(s, script_say(r, SAY_WARN,
			   "patch '%s' failed for module '%s', refusing to load module '%s'",
			   s->p->name, s->module, s->module));
	SCRIPT_END
	refuse_coming(e, s->module, s->p);
	return script_become(s, SCRIPT_GOING);
}

/* Also for a module that was refused: it leaves the patches that had accepted it before. */
bool script_going(struct engine *e, struct script *s, struct suture_step_reply *r)
{
	SCRIPT_BEGIN(s)
	for (s->p = e->patches; s->p; s->p = s->p->next) {
		s->o = s->p->installed ? patch_object(s->p, s->module) : NULL;
		if (!s->o || !s->o->loaded)
			continue;
		s->o->event = EVENT_NONE;
		if (s->o->post_patched) {
			s->o->post_patched = false;
			CALL_OBJECT(s, r, s->p, s->o - s->p->objects, SUTURE_CB_PRE_UNPATCH);
		}
		GIVE(s, script_say(r, SAY_NOTICE, "reverting patch '%s' on unloading module '%s'",
				   s->p->name, s->module));
		/* the agent's SUTURE_HC_DROP_RANGE drops what cannot be switched off here */
		for (s->tries = 0; s->tries < OBJECT_TRIES; s->tries++) {
			if (engine_switch_object(e, s->p, s->o, false) != -EAGAIN)
				break;
			GIVE(s, script_wait(r));
		}
		patch_forget_redirects(s->p, s->o);
		s->o->patched = false;
		if (s->o->pre_patched && !MUTATION(going_unpatched)) {
			s->o->pre_patched = false;
			CALL_OBJECT(s, r, s->p, s->o - s->p->objects, SUTURE_CB_POST_UNPATCH);
		}
		unload_object(s->p, s->o);
	}
	SCRIPT_END
	return script_finish(e, r, SUTURE_STEP_DONE, s->error);
}

/* ---- the payload goes: its init failed behind klp_enable_patch(), or it was forced out ---- */

bool script_abandon(struct engine *e, struct script *s, struct suture_step_reply *r)
{
	struct patch *p = s->patch, *owner;
	struct state *st;

	SCRIPT_BEGIN(s)
	p->todo = TODO_NOTHING;
	p->enabled = false;
	if (!p->on)
		GIVE(s,
		     script_say(r, SAY_DEBUG,
				"'%s': canceling patching transition, going to unpatch", p->name));
	for (s->i = 0; s->i < p->nr_objects; s->i++) {
		if (!p->objects[s->i].post_patched)
			continue;
		p->objects[s->i].post_patched = false;
		CALL_OBJECT(s, r, p, s->i, SUTURE_CB_PRE_UNPATCH);
	}
	for (s->i = engine_count_states(e); (st = state_leaves(e, &s->i, &owner));)
		CALL_STATE(s, r, owner, st, SUTURE_CB_PRE_UNPATCH);
	for (s->tries = 0; s->tries < OBJECT_TRIES; s->tries++) {
		if (engine_switch_off(e, p) != -EAGAIN)
			break;
		GIVE(s, script_wait(r));
	}
	SCRIPT_END
	patch_forget_redirects(p, NULL);
	p->on = false;
	return script_become(s, SCRIPT_COMPLETE_UNPATCHING);
}
