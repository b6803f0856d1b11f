/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The life of a patch, from top to bottom: enable, complete, disable, complete, and what may happen
 * between. The order of callbacks and messages, and the messages, are those of Linux 6.1
 * (kernel/livepatch/core.c and transition.c); states are those of document 002.
 */
#include "lib/errno.h"
#include "lib/format.h"
#include "lib/mutate.h"
#include "patch/engine/script.h"

/* ---- enable: klp_enable_patch() in the payload's init ---- */

bool script_refuse(struct engine *e, struct script *s, struct suture_step_reply *r)
{
	SCRIPT_BEGIN(s)
	GIVE(s, script_say(r, SAY_ERROR,
			   "Livepatch patch (%s) is not compatible with the already installed "
			   "livepatches.",
			   s->patch->name));
	SCRIPT_END
	engine_forget(e, s->patch);
	return script_finish(e, r, SUTURE_STEP_DONE, -EINVAL);
}

bool script_refuse_missing(struct engine *e, struct script *s, struct suture_step_reply *r)
{
	SCRIPT_BEGIN(s)
	GIVE(s, script_say_missing(r, s->patch, patch_missing(s->patch, NULL)));
	SCRIPT_END
	engine_forget(e, s->patch);
	return script_finish(e, r, SUTURE_STEP_DONE, s->patch->error);
}

bool script_enable(struct engine *e, struct script *s, struct suture_step_reply *r)
{
	struct patch *p = s->patch, *owner;
	struct state *st;
	struct object *o;

	SCRIPT_BEGIN(s)
	GIVE(s, script_say(r, SAY_NOTICE, "enabling patch '%s'", p->name));
	GIVE(s, script_say(r, SAY_DEBUG, "'%s': initializing patching transition", p->name));

	for (s->i = 0; s->i < p->nr_states; s->i++) {
		if (state_join(e, &p->states[s->i]) && !MUTATION(state_shared))
			continue;
		CALL_STATE(s, r, p, &p->states[s->i], SUTURE_CB_PRE_PATCH);
		st = &p->states[s->i];
		if (s->result) {
			s->error = s->result;
			patch_blame(p, s->error, "its pre_patch callback of state %llu refused",
				    st->id);
			GIVE(s, script_say(r, SAY_WARN, "pre-patch callback failed for state %llu",
					   p->states[s->i].id));
			goto fail;
		}
		st->pre_patched = true;
		st->shadows = st->is_shadow;
	}
	for (s->i = 0; s->i < p->nr_objects; s->i++) {
		if (!p->objects[s->i].loaded)
			continue;
		CALL_OBJECT(s, r, p, s->i, SUTURE_CB_PRE_PATCH);
		o = &p->objects[s->i];
		if (s->result) {
			s->error = s->result;
			patch_blame(p, s->error, "its pre_patch callback of object '%s' refused",
				    o->name);
			GIVE(s, script_say(r, SAY_WARN, "pre-patch callback failed for object '%s'",
					   p->objects[s->i].name));
			goto fail;
		}
		o->pre_patched = true;
		o->patched = true;
	}
	/* nothing can refuse from here on: now the states that are replaced may go */
	for (s->i = engine_count_states(e); (st = state_leaves(e, &s->i, &owner));)
		CALL_STATE(s, r, owner, st, SUTURE_CB_PRE_UNPATCH);
	GIVE(s, script_say(r, SAY_NOTICE, "'%s': starting patching transition", p->name));
	p->enabled = true;
	patch_set_phase(p, PHASE_PATCHING);
	return script_finish(e, r, SUTURE_STEP_WAIT, 0);

fail:
	GIVE(s, script_say(r, SAY_WARN, "failed to enable patch '%s'", p->name));
	GIVE(s, script_say(r, SAY_DEBUG, "'%s': canceling patching transition, going to unpatch",
			   p->name));
	SCRIPT_END
	e->target_on = false;
	return script_become(s, SCRIPT_COMPLETE_UNPATCHING);
}

/* ---- switched on: klp_complete_transition() towards patched ---- */

bool script_complete_patching(struct engine *e, struct script *s, struct suture_step_reply *r)
{
	struct patch *p = s->patch, *owner;
	struct state *st;

	SCRIPT_BEGIN(s)
	p->todo = TODO_NOTHING;
	patch_set_phase(p, PHASE_COMPLETING);
	GIVE(s, script_say(r, SAY_DEBUG, "'%s': completing patching transition", p->name));

	states_inherit(e);
	for (s->i = 0; (st = state_arrives(e, &s->i, &owner));)
		CALL_STATE(s, r, owner, st, SUTURE_CB_POST_PATCH);
	for (s->i = 0; s->i < p->nr_objects; s->i++) {
		if (!p->objects[s->i].patched)
			continue;
		p->objects[s->i].post_patched = true;
		CALL_OBJECT(s, r, p, s->i, SUTURE_CB_POST_PATCH);
	}
	/* the states that were replaced, and that no patch has any more */
	for (s->i = engine_count_states(e); s->i-- > 0;) {
		st = engine_nth_state(e, s->i, &owner);
		if (!st->pre_patched || patch_stays(e, owner))
			continue;
		st->pre_patched = false;
		CALL_STATE(s, r, owner, st, SUTURE_CB_POST_UNPATCH);
		st = engine_nth_state(e, s->i, &owner);
		if (st->shadows && !MUTATION(shadow_freed))
			GIVE(s, script_callback(r, owner, true, patch_state_index(owner, st),
						SUTURE_CB_SHADOW_DTOR));
	}
	/* a rollback was reversed: what was to return does not */
	for (s->p = next_returning(e->patches); s->p; s->p = next_returning(s->p->next)) {
		for (s->i = 0; s->i < s->p->nr_objects; s->i++) {
			if (!object_is_fresh(&s->p->objects[s->i]))
				continue;
			s->p->objects[s->i].pre_patched = false;
			CALL_OBJECT(s, r, s->p, s->i, SUTURE_CB_POST_UNPATCH);
		}
	}
	GIVE(s, script_say(r, SAY_NOTICE, "'%s': patching complete", p->name));

	for (s->p = p->replace ? e->patches : p; s->p != p; s->p = s->p->next) {
		if (!s->p->installed)
			continue;
		patch_replaced(s->p, p);
		engine_after_off(e, s->p);
		if (!s->p->forced)
			GIVE(s, script_retired(r, s->p));
	}
	SCRIPT_END
	patch_set_phase(p, PHASE_APPLIED);
	p->unload = false; /* a revert that was reversed */
	e->transition = NULL;
	return script_finish(e, r, SUTURE_STEP_DONE, 0);
}

/* ---- disable: a 0 written to sysfs, or the operator's revert ---- */

bool script_disable(struct engine *e, struct script *s, struct suture_step_reply *r)
{
	struct patch *p = s->patch, *owner;
	struct state *st;

	SCRIPT_BEGIN(s)
	p->todo = TODO_NOTHING;
	patch_set_phase(p, PHASE_DISABLING);
	GIVE(s, script_say(r, SAY_DEBUG, "'%s': initializing unpatching transition", p->name));

	for (s->i = 0; s->i < p->nr_objects; s->i++) {
		if (!p->objects[s->i].patched || !p->objects[s->i].post_patched)
			continue;
		p->objects[s->i].post_patched = false;
		CALL_OBJECT(s, r, p, s->i, SUTURE_CB_PRE_UNPATCH);
	}
	for (s->i = engine_count_states(e); (st = state_leaves(e, &s->i, &owner));)
		CALL_STATE(s, r, owner, st, SUTURE_CB_PRE_UNPATCH);
	GIVE(s, script_say(r, SAY_NOTICE, "'%s': starting unpatching transition", p->name));
	SCRIPT_END
	p->enabled = false;
	patch_set_phase(p, PHASE_UNPATCHING);
	return script_finish(e, r, SUTURE_STEP_WAIT, 0);
}

/* ---- switched off, or cancelled before the switch: klp_complete_transition() to unpatched ---- */

bool script_complete_unpatching(struct engine *e, struct script *s, struct suture_step_reply *r)
{
	struct patch *p = s->patch, *owner;
	struct state *st;

	SCRIPT_BEGIN(s)
	p->todo = TODO_NOTHING;
	patch_set_phase(p, PHASE_UNCOMPLETING);
	GIVE(s, script_say(r, SAY_DEBUG, "'%s': completing unpatching transition", p->name));

	for (s->i = 0; s->i < p->nr_objects; s->i++) {
		p->objects[s->i].patched = false;
		p->objects[s->i].post_patched = false;
		if (!p->objects[s->i].pre_patched && !MUTATION(unpatch_pairs))
			continue;
		p->objects[s->i].pre_patched = false;
		CALL_OBJECT(s, r, p, s->i, SUTURE_CB_POST_UNPATCH);
	}
	states_inherit(e);
	for (s->i = p->nr_states; s->i-- > 0;) {
		if (!p->states[s->i].pre_patched)
			continue;
		p->states[s->i].pre_patched = p->states[s->i].post_patched = false;
		CALL_STATE(s, r, p, &p->states[s->i], SUTURE_CB_POST_UNPATCH);
		if (p->states[s->i].shadows)
			GIVE(s, script_callback(r, p, true, s->i, SUTURE_CB_SHADOW_DTOR));
	}
	/* a replacement was reversed: the states whose pre_unpatch ran are back */
	for (s->i = 0; (st = state_arrives(e, &s->i, &owner));)
		CALL_STATE(s, r, owner, st, SUTURE_CB_POST_PATCH);
	for (s->p = next_returning(e->patches); s->p; s->p = next_returning(s->p->next)) {
		for (s->i = 0; s->i < s->p->nr_objects; s->i++) {
			if (!object_is_fresh(&s->p->objects[s->i]))
				continue;
			s->p->objects[s->i].post_patched = true;
			CALL_OBJECT(s, r, s->p, s->i, SUTURE_CB_POST_PATCH);
		}
	}
	GIVE(s, script_say(r, SAY_NOTICE, "'%s': unpatching complete", p->name));

	/* a klp_enable_patch() that fails undoes what it has set up by itself */
	if (s->pump != SUTURE_PUMP_INIT && !p->forced)
		GIVE(s, script_retired(r, p));
	SCRIPT_END
	patches_returned(e, p);
	engine_after_off(e, p);
	e->transition = NULL;
	return script_finish(e, r, SUTURE_STEP_DONE, s->error);
}

/* ---- the other direction, while the switch has not succeeded ---- */

bool script_reverse(struct engine *e, struct script *s, struct suture_step_reply *r)
{
	struct patch *p = s->patch;

	SCRIPT_BEGIN(s)
	p->todo = TODO_NOTHING;
	GIVE(s, script_say(r, SAY_DEBUG, "'%s': reversing transition from %s", p->name,
			   e->target_on ? "patching to unpatching" : "unpatching to patching"));
	engine_start_transition(e, p, !e->target_on);
	GIVE(s, script_say(r, SAY_NOTICE, "'%s': starting %s transition", p->name,
			   e->target_on ? "patching" : "unpatching"));
	SCRIPT_END
	p->enabled = e->target_on;
	patches_enabled(e, !e->target_on);
	patch_set_phase(p, e->target_on ? PHASE_PATCHING : PHASE_UNPATCHING);
	return script_finish(e, r, SUTURE_STEP_WAIT, 0);
}

void engine_force(struct engine *e)
{
	struct patch *q;

	/* a task may still be in the code that is switched off: it stays loaded for ever */
	for (q = e->patches; q; q = q->next)
		if (q->installed && !patch_stays(e, q) && !MUTATION(forced_for_ever))
			q->forced = true;
	e->force = true;
	e->next_attempt_us = 0;
}

bool script_force(struct engine *e, struct script *s, struct suture_step_reply *r)
{
	SCRIPT_BEGIN(s)
	GIVE(s, script_say(r, SAY_WARN, "forcing remaining tasks to the patched state"));
	SCRIPT_END
	engine_force(e);
	return script_finish(e, r, SUTURE_STEP_WAIT, 0);
}
