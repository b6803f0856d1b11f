/* SPDX-License-Identifier: BSD-2-Clause */
/* The driver: which script runs, its next step, and what is due by time. */
#include "core/log.h"
#include "lib/errno.h"
#include "lib/format.h"
#include "lib/string.h"
#include "patch/engine/script.h"

#define WAIT_MS 1

/* ---- the steps ---- */

void script_say(struct suture_step_reply *r, enum say_level level, const char *fmt, ...)
{
	static const enum log_level levels[] = {LOG_INFO, LOG_WARN, LOG_ERROR, LOG_INFO};
	va_list ap;

	va_start(ap, fmt);
	vformat(r->text, sizeof(r->text), fmt, ap);
	va_end(ap);
	r->kind = SUTURE_STEP_LOG;
	r->level = level;
	log_limited(LOG_PATCH, levels[level], "guest: %s", r->text);
}

void script_say_missing(struct suture_step_reply *r, const struct patch *p, const struct func *f)
{
	const char *object = p->objects[f->object].name;

	switch (f->missing) {
	case SUTURE_AMBIGUOUS:
		script_say(r, SAY_ERROR, "unresolvable ambiguity for symbol '%s' in object '%s'",
			   f->name, object);
		break;
	case SUTURE_NO_POSITION:
		script_say(r, SAY_ERROR,
			   "symbol position %u for symbol '%s' in object '%s' not found", f->sympos,
			   f->name, object);
		break;
	case SUTURE_NO_SIZE:
		script_say(r, SAY_ERROR, "kallsyms size lookup failed for '%s'", f->name);
		break;
	default:
		script_say(r, SAY_ERROR, "symbol '%s' not found in symbol table", f->name);
		break;
	}
}

void script_callback(struct suture_step_reply *r, const struct patch *p, bool is_state, u32 index,
		     enum suture_callback callback)
{
	r->kind = SUTURE_STEP_CALLBACK;
	r->is_state = is_state;
	r->index = index;
	r->callback = callback;
	str_copy(r->name, p->name, sizeof(r->name));
	log_limited(LOG_PATCH, LOG_DEBUG, "patch '%s': callback %u of %s %u", p->name, callback,
		    is_state ? "state" : "object", index);
}

void script_wait(struct suture_step_reply *r)
{
	r->kind = SUTURE_STEP_WAIT;
	r->wait_ms = WAIT_MS;
}

void script_signal_task(struct suture_step_reply *r, u32 pid)
{
	r->kind = SUTURE_STEP_SIGNAL;
	r->pid = pid;
}

void script_leave_idle(struct suture_step_reply *r)
{
	r->kind = SUTURE_STEP_LEAVE_IDLE;
}

void script_begin_watch(struct suture_step_reply *r)
{
	r->kind = SUTURE_STEP_WATCH;
}

void script_restore(struct suture_step_reply *r, const struct patch *p)
{
	r->kind = SUTURE_STEP_RESTORE;
	str_copy(r->name, p->name, sizeof(r->name));
}

void script_retired(struct suture_step_reply *r, const struct patch *p)
{
	r->kind = SUTURE_STEP_RETIRED;
	str_copy(r->name, p->name, sizeof(r->name));
}

bool script_finish(struct engine *e, struct suture_step_reply *r, enum suture_step_kind kind,
		   s32 result)
{
	e->run.kind = SCRIPT_NONE;
	if (kind == SUTURE_STEP_WAIT)
		script_wait(r);
	r->kind = kind;
	r->result = result > 0 ? -EINVAL : result; /* a callback may have returned anything */
	return true;
}

bool script_become(struct script *s, enum script_kind kind)
{
	s->kind = kind;
	s->at = 0;
	return false;
}

/* ---- which script runs ---- */

static script_fn *const scripts[] = {
	[SCRIPT_ENABLE] = script_enable,
	[SCRIPT_REFUSE] = script_refuse,
	[SCRIPT_REFUSE_MISSING] = script_refuse_missing,
	[SCRIPT_DISABLE] = script_disable,
	[SCRIPT_ROLLBACK] = script_rollback,
	[SCRIPT_GIVE_BACK] = script_give_back,
	[SCRIPT_REVERSE] = script_reverse,
	[SCRIPT_FORCE] = script_force,
	[SCRIPT_COMPLETE_PATCHING] = script_complete_patching,
	[SCRIPT_COMPLETE_UNPATCHING] = script_complete_unpatching,
	[SCRIPT_COMING] = script_coming,
	[SCRIPT_GOING] = script_going,
	[SCRIPT_ABANDON] = script_abandon,
	[SCRIPT_SIGNAL] = script_signal,
	[SCRIPT_WATCH] = script_watch,
	[SCRIPT_RETIRE] = script_retire,
};

bool script_step(struct engine *e, struct suture_step_reply *r)
{
	return scripts[e->run.kind](e, &e->run, r);
}

void engine_begin(struct engine *e, enum script_kind kind, enum suture_pump pump, struct patch *p)
{
	e->run = (struct script){.kind = kind, .pump = pump, .patch = p};
}

static bool begin_module(struct engine *e, const char *module)
{
	enum script_kind kind = SCRIPT_NONE;
	struct patch *p = engine_find(e, module);

	if (p && p->todo == TODO_ABANDON) {
		engine_begin(e, SCRIPT_GIVE_BACK, SUTURE_PUMP_MODULE, p);
		e->run.error = p->error;
	} else {
		for (p = e->patches; p && kind == SCRIPT_NONE; p = p->next)
			if (patch_event_object(p, module, EVENT_COMING))
				kind = SCRIPT_COMING;
			else if (patch_event_object(p, module, EVENT_GOING))
				kind = SCRIPT_GOING;
		if (kind == SCRIPT_NONE)
			return false;
		engine_begin(e, kind, SUTURE_PUMP_MODULE, NULL);
	}
	str_copy(e->run.module, module, sizeof(e->run.module));
	return true;
}

bool engine_begin_todo(struct engine *e, struct patch *p)
{
	static const enum script_kind kinds[] = {
		[TODO_DISABLE] = SCRIPT_DISABLE,
		[TODO_ROLLBACK] = SCRIPT_ROLLBACK,
		[TODO_REVERSE] = SCRIPT_REVERSE,
	};

	if (!p || p->todo == TODO_ABANDON)
		return false;
	if (p->held && p != e->transition) {
		engine_begin(e, SCRIPT_RETIRE, SUTURE_PUMP_WORK, p);
		return true;
	}
	if (p->todo == TODO_NOTHING) {
		if (!engine_wants_pump(e) || p != e->transition)
			return false;
		engine_begin(e, engine_wants_watch(e) ? SCRIPT_WATCH : SCRIPT_SIGNAL,
			     SUTURE_PUMP_WORK, p);
		return true;
	}
	engine_begin(e,
		     p->todo != TODO_COMPLETE ? kinds[p->todo]
		     : e->target_on	      ? SCRIPT_COMPLETE_PATCHING
					      : SCRIPT_COMPLETE_UNPATCHING,
		     SUTURE_PUMP_WORK, p);
	return true;
}

/* Linux completes a transition under the mutex under which it switched: no other script may run
 * between. */
static bool must_complete(const struct engine *e)
{
	return e->transition && e->transition->todo == TODO_COMPLETE;
}

static bool is_for(const struct script *s, const struct suture_step *m)
{
	if (s->pump != m->pump)
		return false;
	return !strcmp(s->pump == SUTURE_PUMP_MODULE ? s->module : s->patch->name,
		       s->pump == SUTURE_PUMP_MODULE ? m->module : m->name);
}

void engine_step(struct engine *e, const struct suture_step *m, struct suture_step_reply *r)
{
	struct script *s = &e->run;
	struct patch *p;
	bool begun = false;

	engine_hear(e);
	r->kind = SUTURE_STEP_DONE;
	if (!memchr(m->name, 0, sizeof(m->name)) || !memchr(m->module, 0, sizeof(m->module))) {
		r->result = -EINVAL;
		return;
	}
	p = engine_find(e, m->name);
	if (s->kind == SCRIPT_NONE) {
		if (m->pump == SUTURE_PUMP_MODULE && must_complete(e)) {
			script_wait(r);
			return;
		}
		if (m->pump == SUTURE_PUMP_MODULE)
			begun = begin_module(e, m->module);
		else if (m->pump == SUTURE_PUMP_WORK && !(p && p->alone))
			begun = engine_begin_todo(e, p);
		if (!begun) {
			if (p && p == e->transition && m->pump != SUTURE_PUMP_MODULE)
				script_wait(r);
			return;
		}
	}
	if (!is_for(s, m)) {
		script_wait(r);
		return;
	}
	s->result = m->result;
	while (!script_step(e, r))
		;
}

/* ---- time ---- */

/* Is there something that the engine does without the agent? */
static bool wants_no_agent(const struct patch *p)
{
	return p && (p->orphan || p->alone) && p->todo != TODO_NOTHING;
}

u64 engine_tick(struct engine *e)
{
	u64 time = engine_now(e), next = engine_timeouts(e, time);
	struct patch *p = e->transition;

	if (wants_no_agent(p))
		engine_pump_alone(e, p);
	next = MIN(next, engine_watch(e, time));
	next = MIN(next, engine_put_back(e, time));
	if (e->ended)
		return next;
	next = MIN(next, engine_attempt(e, time));
	next = MIN(next, engine_look(e, engine_now(e)));
	return wants_no_agent(e->transition) ? time : next;
}
