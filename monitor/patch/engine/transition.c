/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The transition: one patch is switched on or off. It begins, is attempted until the switch
 * succeeds, and ends. The scripts of life.c run its callbacks; converge.c handles blockers.
 */
#include "core/log.h"
#include "lib/errno.h"
#include "lib/format.h"
#include "lib/string.h"
#include "patch/engine/script.h"

/* Longer than an agent takes that has nothing else to do. */
#define WATCH_WAIT_US 200000
/* A guest that switches tasks faster than the look before the pause is done without a watch. */
#define MAX_WATCHES_LOST 3

void engine_start_transition(struct engine *e, struct patch *p, bool on)
{
	e->transition = p;
	e->target_on = on;
	e->force = false;
	e->budget_us = e->config.budget_us;
	e->next_attempt_us = 0;
	e->watch_due_us = engine_now(e) + WATCH_WAIT_US;
	e->watches_lost = 0;
	if (e->ops.unwatch)
		e->ops.unwatch(e->ops.ctx);
	converge_reset(e);
}

bool engine_wants_watch(const struct engine *e)
{
	const struct patch *p = e->transition;

	return p && e->ops.watching && !e->cannot_watch && e->watches_lost < MAX_WATCHES_LOST &&
	       !p->orphan && !p->alone && p->todo == TODO_NOTHING &&
	       (p->phase == PHASE_PATCHING || p->phase == PHASE_UNPATCHING) &&
	       !e->ops.watching(e->ops.ctx);
}

bool script_watch(struct engine *e, struct script *s, struct suture_step_reply *r)
{
	SCRIPT_BEGIN(s)
	GIVE(s, script_begin_watch(r));
	SCRIPT_END
	e->cannot_watch = s->result < 0;
	e->watch_due_us = 0;
	e->next_attempt_us = MIN(e->next_attempt_us, engine_now(e));
	return script_finish(e, r, SUTURE_STEP_WAIT, 0);
}

/* The error is permanent. */
static void give_up(struct engine *e, struct patch *p, int error, const struct transition_report *r)
{
	if (e->target_on) {
		patch_blame(p, error, "cannot be switched on: %s",
			    r->reason[0] ? r->reason : errno_name(error));
		p->unload = p->from_bundle;
		p->todo = TODO_REVERSE;
		return;
	}
	/* A patch must get off: the cause, such as a lack of memory, may go. */
	log_limited(LOG_PATCH, LOG_ERROR,
		    "patch '%s' cannot be switched off: %s (%s); tried again every second", p->name,
		    r->reason, errno_name(error));
	e->next_attempt_us += 1000000;
}

/* A task blocked this attempt. */
static void note_blocker(struct transition_report *r, struct blocker *before)
{
	r->blocker.attempt = r->attempts;
	symbols_keep(&r->blocker, before);
}

/* It was over before the look was. The agent is asked for another, or else there is none. */
static void lose_watch(struct engine *e, u64 now)
{
	e->watches_lost++;
	e->watch_due_us = now + WATCH_WAIT_US;
}

static void attempt_switch(struct engine *e, u64 now)
{
	struct patch *p = e->transition;
	struct transition_report *r = e->target_on ? &p->apply : &p->revert;
	struct blocker before = r->blocker;
	u32 attempts = r->attempts + 1;
	bool blocked;
	int ret;

	r->blocker.valid = false;
	r->reason[0] = 0;
	ret = e->target_on ? patch_compare_text(e, p, NULL, r->reason, sizeof(r->reason)) : 0;
	if (!ret)
		ret = engine_switch_transition(e, r);
	if (r->looking) {
		r->attempts = attempts - 1;
		r->blocker = before;
		e->next_attempt_us = now;
		if (!e->ops.watching(e->ops.ctx))
			lose_watch(e, now);
		return;
	}
	e->watches_lost = 0;
	r->attempts = attempts;
	blocked = r->blocker.valid;
	if (blocked)
		note_blocker(r, &before);
	else
		r->blocker = before;
	e->next_attempt_us = now + e->config.retry_us;
	if (!ret) {
		converge_reset(e);
		patch_set_phase(p, e->target_on ? PHASE_COMPLETING : PHASE_UNCOMPLETING);
		p->todo = TODO_COMPLETE;
	} else if (ret != -EAGAIN) {
		give_up(e, p, ret, r);
	} else if (blocked) {
		e->next_attempt_us = now + converge_blocked(e, now, &r->blocker);
	} else {
		/* no blocker: the pause was too short */
		e->budget_us = MIN(e->budget_us * 2, e->config.budget_max_us);
		e->next_attempt_us = now + converge_delay(e);
	}
}

u64 engine_attempt(struct engine *e, u64 now)
{
	struct patch *p = e->transition;

	if (!p || p->todo != TODO_NOTHING || e->run.kind != SCRIPT_NONE ||
	    (p->phase != PHASE_PATCHING && p->phase != PHASE_UNPATCHING))
		return UINT64_MAX;
	if (!p->live) {
		/* a failing init frees a module whatever its references */
		str_copy((e->target_on ? &p->apply : &p->revert)->reason,
			 "the payload's init has not ended yet", sizeof(p->apply.reason));
		return UINT64_MAX;
	}
	if (engine_wants_watch(e) && now < e->watch_due_us)
		return e->watch_due_us;
	if (now >= e->next_attempt_us)
		attempt_switch(e, now);
	return p->todo == TODO_NOTHING ? e->next_attempt_us : UINT64_MAX;
}

/* ---- its patch is off ---- */

void engine_forget(struct engine *e, struct patch *p)
{
	u32 i;

	for (i = 0; i < p->nr_objects; i++) {
		p->objects[i].patched = false;
		p->objects[i].pre_patched = p->objects[i].post_patched = false;
		p->objects[i].event = EVENT_NONE;
	}
	for (i = 0; i < p->nr_states; i++)
		p->states[i].pre_patched = p->states[i].post_patched = false;
	p->installed = p->enabled = p->on = p->stuck = p->returning = false;
	p->todo = TODO_NOTHING;
	if (e->transition == p)
		e->transition = NULL;
	/* a bundle's load is still to be reported; a patch of the guest's own ends here */
	patch_set_phase(p, p->loading ? PHASE_LOADING : PHASE_FAILED);
}

/* Tell the operator how it went off, if not by the operator's request. */
static void say_how_it_went_off(struct patch *p)
{
	bool by_guest = p->phase == PHASE_DISABLED && p->disabled_by[0];

	if (p->alone)
		patch_say_off_alone(p);
	else if (by_guest)
		format(p->why, sizeof(p->why), "disabled in the guest by %s%s", p->disabled_by,
		       p->forced ? ", by force: its module stays loaded until the guest boots again"
				 : "");
	else if (p->forced)
		str_copy(p->why,
			 "off by force: its module stays loaded until the guest boots again",
			 sizeof(p->why));
}

void engine_after_off(struct engine *e, struct patch *p)
{
	struct patch *transition = e->transition;

	engine_forget(e, p);
	e->transition = transition;
	if (p->gone || p->orphan)
		patch_set_phase(p, p->error ? PHASE_FAILED : PHASE_REVERTED);
	else if (e->run.patch == p && e->run.pump == SUTURE_PUMP_INIT)
		return;
	else if (p->unload && !p->forced)
		engine_start_unload(e, p);
	else
		patch_set_phase(p, p->error ? PHASE_FAILED : PHASE_DISABLED);
	say_how_it_went_off(p);
}
