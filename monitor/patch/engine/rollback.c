/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Going back from a cumulative patch to those that it replaced, in one switch.
 *
 * It is the replacement in the other direction. The patch that replaced is switched off, as with a
 * revert, and the patches that it replaced are on again at their places in the stack. State
 * callbacks run only for states that this introduces or removes. Object callbacks of replaced
 * patches did not run when they were replaced, so they do not run now: the callbacks of the patch
 * that is switched off undo its own. They run only for an object whose module was loaded anew
 * since.
 */
#include "core/log.h"
#include "lib/errno.h"
#include "lib/format.h"
#include "lib/mutate.h"
#include "lib/string.h"
#include "patch/engine/script.h"

#define why_line(...) format(why, why_size, __VA_ARGS__)

struct patch *next_replaced(struct patch *p, const struct patch *by)
{
	while (p && p->replaced_by != by)
		p = p->next;
	return p;
}

struct patch *next_returning(struct patch *p)
{
	while (p && !p->returning)
		p = p->next;
	return p;
}

/* ---- may it be? ---- */

static int check_replaced(struct engine *e, struct patch *p, char *why, size_t why_size)
{
	struct patch *q;
	u32 n = 0;

	if (!p->nr_replaced) {
		why_line("patch '%s' has replaced no patch: `suture revert %s` takes it off",
			 p->name, p->name);
		return -EINVAL;
	}
	for (q = next_replaced(e->patches, p); q; q = next_replaced(q->next, p), n++) {
		if (q->forced) {
			why_line("patch '%s' replaced '%s' by force: a task may still be in its "
				 "code; apply the bundle that you want instead",
				 p->name, q->name);
			return -EBUSY;
		}
		if (q->phase != PHASE_DISABLED && !MUTATION(still_loaded)) {
			why_line("patch '%s', which '%s' replaced, is %s: apply its bundle instead",
				 q->name, p->name, patch_phase_name(q->phase));
			return -ENODEV;
		}
	}
	if (n == p->nr_replaced)
		return 0;
	why_line("of the %u patches that '%s' replaced only %u are still loaded: apply their "
		 "bundles instead",
		 p->nr_replaced, p->name, n);
	return -ENODEV;
}

/* Is the state there without p? */
static bool has_other(struct engine *e, const struct patch *p, u64 id)
{
	struct patch *q;

	for (q = e->patches; q; q = q->next)
		if (q != p && (q->installed || q->replaced_by == p) && patch_state(q, id))
			return true;
	return false;
}

static int check_states(struct engine *e, struct patch *p, char *why, size_t why_size)
{
	const struct state *st;
	struct patch *q;
	u32 i;

	for (i = 0; i < p->nr_states; i++) {
		st = &p->states[i];
		if (st->block_disable && !has_other(e, p, st->id)) {
			why_line("patch '%s' cannot be rolled back: its state %llu is marked "
				 "block_disable, and no other patch has it",
				 p->name, st->id);
			return -EINVAL;
		}
		for (q = next_replaced(e->patches, p); st->version && q;
		     q = next_replaced(q->next, p)) {
			if (!patch_state(q, st->id))
				continue;
			why_line(
				"patch '%s' cannot be rolled back: it took over state %llu, which "
				"has a version, from '%s'; callbacks of that kind know no way back",
				p->name, st->id, q->name);
			return -EINVAL;
		}
	}
	return 0;
}

static int check_phase(const struct patch *p, char *why, size_t why_size)
{
	if (p->orphan) {
		why_line("the agent that ran patch '%s' is gone, it has no way back: `suture "
			 "revert %s` takes it off",
			 p->name, p->name);
		return -EBUSY;
	}
	if (p->phase == PHASE_APPLIED)
		return 0;
	why_line("patch '%s' is %s: only one that is applied can be rolled back", p->name,
		 patch_phase_name(p->phase));
	return -EBUSY;
}

int engine_rollback(struct engine *e, const char *name, char *why, size_t why_size)
{
	struct patch *p = engine_find(e, name);
	int r;

	if (!p || patch_is_finished(p)) {
		why_line("patch '%s' is not applied; `suture list` shows what is", name);
		return -ENOENT;
	}
	r = engine_check_agent(e, why, why_size);
	if (!r)
		r = check_phase(p, why, why_size);
	if (!r)
		r = engine_check_idle(e, p, why, why_size);
	if (!r)
		r = check_replaced(e, p, why, why_size);
	if (!r)
		r = check_states(e, p, why, why_size);
	if (r)
		return r;
	log_limited(LOG_OPERATOR, LOG_INFO, "patch '%s': rollback asked for", name);
	p->revert = (struct transition_report){0};
	p->asked = &p->revert;
	p->error = 0;
	p->why[0] = 0;
	p->unload = true;
	engine_start_transition(e, p, false);
	p->todo = TODO_ROLLBACK;
	patch_set_phase(p, PHASE_DISABLING);
	return 0;
}

/* ---- the list of patches ---- */

void patch_replaced(struct patch *p, struct patch *by)
{
	u32 i;

	for (i = 0; i < p->nr_objects; i++)
		p->objects[i].kept = p->objects[i].pre_patched && p->objects[i].post_patched;
	if (p->replaced_by != by)
		by->nr_replaced++;
	p->replaced_by = by;
	p->error = 0; /* of what came before: it does not end in it */
	format(p->why, sizeof(p->why), "replaced by patch '%s'", by->name);
}

void patches_returned(struct engine *e, const struct patch *p)
{
	struct patch *q;

	for (q = next_returning(e->patches); q; q = next_returning(q->next)) {
		q->returning = false;
		q->replaced_by = NULL;
		format(q->why, sizeof(q->why),
		       "back: patch '%s', which had replaced it, was rolled back", p->name);
		patch_set_phase(q, PHASE_APPLIED);
	}
}

void patches_enabled(struct engine *e, bool enabled)
{
	struct patch *q;

	for (q = next_returning(e->patches); q; q = next_returning(q->next))
		q->enabled = enabled;
}

struct patch *engine_awaits(const struct engine *e, const char *name)
{
	const struct script *s = &e->run;

	return s->kind == SCRIPT_ROLLBACK && s->awaits && s->p && !strcmp(s->p->name, name) ? s->p
											    : NULL;
}

/* ---- the steps: what comes before the patch's own way off ---- */

/* The agent has a reference and the new addresses, or the step has failed. */
static s32 patch_restored(struct patch *p, struct patch *q, s32 result)
{
	s32 error = result < 0 ? result : q->returning ? 0 : -EPROTO;

	if (error)
		patch_blame(p, error, "not rolled back: %s '%s'",
			    error == -ENODEV ? "the guest has unloaded patch"
					     : "the agent cannot take back patch",
			    q->name);
	return error;
}

bool script_rollback(struct engine *e, struct script *s, struct suture_step_reply *r)
{
	struct patch *p = s->patch, *owner;
	struct state *st;

	SCRIPT_BEGIN(s)
	p->todo = TODO_NOTHING;
	for (s->p = next_replaced(e->patches, p); s->p; s->p = next_replaced(s->p->next, p)) {
		s->result = -ENODEV;
		if (s->p->phase == PHASE_DISABLED) {
			s->awaits = true;
			GIVE(s, script_restore(r, s->p));
			s->awaits = false;
		}
		s->error = patch_restored(p, s->p, s->result);
		if (s->error)
			return script_become(s, SCRIPT_GIVE_BACK);
	}
	for (s->p = next_returning(e->patches); s->p; s->p = next_returning(s->p->next))
		GIVE(s, script_say(r, SAY_NOTICE, "enabling patch '%s'", s->p->name));

	for (s->i = 0; s->i < engine_count_states(e); s->i++) {
		st = engine_nth_state(e, s->i, &owner);
		if (!owner->returning || state_join(e, st))
			continue;
		CALL_STATE(s, r, owner, st, SUTURE_CB_PRE_PATCH);
		st = engine_nth_state(e, s->i, &owner);
		st->pre_patched = !s->result;
		st->shadows = st->is_shadow;
		if (st->pre_patched)
			continue;
		s->error = s->result;
		patch_blame(p, s->error,
			    "not rolled back: the pre_patch callback of state %llu of patch '%s' "
			    "refused",
			    st->id, owner->name);
		GIVE(s, script_say(r, SAY_WARN, "pre-patch callback failed for state %llu",
				   engine_nth_state(e, s->i, &owner)->id));
		return script_become(s, SCRIPT_GIVE_BACK);
	}
	for (s->p = next_returning(e->patches); s->p; s->p = next_returning(s->p->next)) {
		for (s->i = 0; s->i < s->p->nr_objects; s->i++) {
			s->o = &s->p->objects[s->i];
			s->o->patched = s->o->loaded;
			if (!s->o->loaded || s->o->pre_patched)
				continue;
			CALL_OBJECT(s, r, s->p, s->i, SUTURE_CB_PRE_PATCH);
			s->o->pre_patched = !s->result;
			if (s->o->pre_patched)
				continue;
			s->error = s->result;
			patch_blame(p, s->error,
				    "not rolled back: the pre_patch callback of object '%s' of "
				    "patch '%s' refused",
				    s->o->name, s->p->name);
			GIVE(s, script_say(r, SAY_WARN, "pre-patch callback failed for object '%s'",
					   s->o->name));
			return script_become(s, SCRIPT_GIVE_BACK);
		}
	}
	SCRIPT_END
	/* nothing can refuse from here on: the patch goes off as ever, and the switch takes it all
	 */
	patches_enabled(e, true);
	return script_become(s, SCRIPT_DISABLE);
}

/* The patches that were to come back do not: before the switch, when nothing else has changed. */
bool script_give_back(struct engine *e, struct script *s, struct suture_step_reply *r)
{
	struct patch *p = s->patch, *owner;
	struct state *st;

	SCRIPT_BEGIN(s)
	for (s->p = next_returning(e->patches); s->p; s->p = next_returning(s->p->next)) {
		for (s->i = 0; !s->p->on && s->i < s->p->nr_objects; s->i++) {
			if (!object_is_fresh(&s->p->objects[s->i]))
				continue;
			s->p->objects[s->i].pre_patched = false;
			CALL_OBJECT(s, r, s->p, s->i, SUTURE_CB_POST_UNPATCH);
		}
	}
	for (s->i = engine_count_states(e); s->i-- > 0;) {
		st = engine_nth_state(e, s->i, &owner);
		if (!owner->returning || owner->on || !st->pre_patched)
			continue;
		st->pre_patched = false;
		CALL_STATE(s, r, owner, st, SUTURE_CB_POST_UNPATCH);
		st = engine_nth_state(e, s->i, &owner);
		if (st->shadows)
			GIVE(s, script_callback(r, owner, true, patch_state_index(owner, st),
						SUTURE_CB_SHADOW_DTOR));
	}
	for (s->p = next_returning(e->patches); s->p; s->p = next_returning(s->p->next)) {
		if (s->p->on)
			continue; /* the payload was forced out after the switch */
		patch_replaced(s->p, p);
		engine_after_off(e, s->p);
		GIVE(s, script_retired(r, s->p));
	}
	SCRIPT_END
	if (p->gone)
		return script_become(s, SCRIPT_ABANDON);
	p->unload = false;
	patch_set_phase(p, PHASE_APPLIED);
	e->transition = NULL;
	return script_finish(e, r, SUTURE_STEP_DONE, s->error);
}
