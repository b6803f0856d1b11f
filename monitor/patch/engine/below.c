/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reverting a patch without the agent, because the guest hangs. The engine runs the steps itself,
 * without those that only the guest can do: no callback runs, and the module stays loaded. If the
 * agent answers again it gets the step RETIRED, and puts the module.
 */
#include "core/log.h"
#include "lib/errno.h"
#include "lib/format.h"
#include "lib/string.h"
#include "patch/engine/script.h"

#define why_line(...) format(why, why_size, __VA_ARGS__)

/* ---- steps that are left out ---- */

static void leave_out(struct engine *e, struct patch *p, const struct suture_step_reply *r)
{
	struct patch *retired = r->kind == SUTURE_STEP_RETIRED ? engine_find(e, r->name) : NULL;

	if (r->kind == SUTURE_STEP_CALLBACK && r->callback < ARRAY_SIZE(p->left_out))
		p->left_out[r->callback]++;
	if (retired && !retired->orphan)
		retired->held = true;
}

/* Run the script under way, which is p's, to its end. */
static void go_on_alone(struct engine *e, struct patch *p)
{
	struct suture_step_reply r;

	while (e->run.kind != SCRIPT_NONE) {
		r = (struct suture_step_reply){0};
		e->run.result = 0;
		while (!script_step(e, &r))
			;
		leave_out(e, p, &r);
	}
	if (e->transition != p)
		p->alone = false;
}

void engine_pump_alone(struct engine *e, struct patch *p)
{
	if (e->run.kind == SCRIPT_NONE && engine_begin_todo(e, p))
		go_on_alone(e, p);
}

bool script_retire(struct engine *e, struct script *s, struct suture_step_reply *r)
{
	SCRIPT_BEGIN(s)
	GIVE(s, script_retired(r, s->patch));
	SCRIPT_END
	s->patch->held = false;
	return script_finish(e, r, SUTURE_STEP_DONE, 0);
}

/* "2 pre_unpatch, 1 post_unpatch" */
static void name_left_out(const struct patch *p, char *text, size_t size)
{
	static const char *const names[] = {
		[SUTURE_CB_PRE_PATCH] = "pre_patch",	 [SUTURE_CB_POST_PATCH] = "post_patch",
		[SUTURE_CB_PRE_UNPATCH] = "pre_unpatch", [SUTURE_CB_POST_UNPATCH] = "post_unpatch",
		[SUTURE_CB_SHADOW_DTOR] = "shadow_dtor",
	};
	size_t len = 0;

	text[0] = 0;
	for (u32 i = 0; i < ARRAY_SIZE(p->left_out); i++)
		if (p->left_out[i])
			len += (size_t)format(text + len, size - len, "%s%u %s", len ? ", " : "",
					      p->left_out[i], names[i]);
}

void patch_say_off_alone(struct patch *p)
{
	char *left_out = p->revert.left_out;
	const char *rest = "";

	name_left_out(p, left_out, sizeof(p->revert.left_out));
	if (p->forced)
		rest = "; its module stays loaded until the guest boots again";
	else if (p->phase == PHASE_DISABLED)
		rest = "; its module is loaded: revert it again when the agent answers";
	format(p->why, sizeof(p->why), "off from below%s, left out: %s%s",
	       p->forced ? " by force" : "", left_out[0] ? left_out : "no callbacks", rest);
	log_limited(LOG_PATCH, LOG_WARN, "patch '%s': %s", p->name, p->why);
}

/* ---- the operator's request ---- */

static int check_silent(const struct engine *e, const struct patch *p, char *why, size_t why_size)
{
	struct guest_health h;

	engine_guest_health(e, &h);
	if (h.state != GUEST_ALIVE)
		return 0;
	why_line("the agent in the guest answers: `suture revert %s` runs the callbacks of patch "
		 "'%s', and unloads it",
		 p->name, p->name);
	return -EBUSY;
}

/* Is something of it in force, or may it come into force? */
static int check_in_force(const struct engine *e, const struct patch *p, char *why, size_t why_size)
{
	bool starts = e->run.kind != SCRIPT_NONE && e->run.pump == SUTURE_PUMP_INIT;

	if (p->installed && !p->gone && !p->returning && !starts &&
	    (p->live || p->phase != PHASE_PATCHING))
		return 0;
	why_line("patch '%s' is %s: nothing of it is in force", p->name,
		 patch_phase_name(p->phase));
	return -EBUSY;
}

static int check_others(const struct engine *e, const struct patch *p, char *why, size_t why_size)
{
	int r = engine_check_idle(e, p, why, why_size);

	if (r)
		return r;
	if (next_returning(e->patches) || e->run.kind == SCRIPT_ROLLBACK ||
	    e->run.kind == SCRIPT_GIVE_BACK) {
		why_line("patch '%s' is being rolled back: what comes back needs the agent",
			 p->name);
		return -EBUSY;
	}
	if (e->run.kind != SCRIPT_NONE && e->run.patch != p) {
		why_line("the guest is in a callback of %s '%s'",
			 e->run.patch ? "patch" : "a patch for module",
			 e->run.patch ? e->run.patch->name : e->run.module);
		return -EBUSY;
	}
	return 0;
}

static int check_state(struct engine *e, struct patch *p, char *why, size_t why_size)
{
	u64 state = engine_blocked_state(e, p);

	if (!state || p->phase != PHASE_APPLIED)
		return 0;
	why_line("patch '%s' cannot be reverted: its state %llu is marked block_disable", p->name,
		 state);
	return -EINVAL;
}

/* What it was about to do with the agent it does alone. */
static void catch_up(struct engine *e, struct patch *p)
{
	p->alone = true;
	p->unload = false;
	if (p->todo == TODO_ROLLBACK)
		p->todo = TODO_DISABLE; /* nothing of it has begun */
	if (e->run.kind != SCRIPT_NONE)
		go_on_alone(e, p);
	while (p->todo != TODO_NOTHING)
		engine_pump_alone(e, p);
}

static void turn_off(struct engine *e, struct patch *p)
{
	p->alone = true;
	if (p->phase == PHASE_APPLIED) {
		engine_start_transition(e, p, false);
		p->revert = (struct transition_report){0};
		p->todo = TODO_DISABLE;
	} else if (p->phase == PHASE_PATCHING) {
		p->revert = (struct transition_report){0};
		p->todo = TODO_REVERSE;
	}
	engine_pump_alone(e, p);
	p->revert.from_below = true;
}

/* It has no agent to leave anything out of. */
static int revert_orphan(struct engine *e, struct patch *p, bool force, char *why, size_t why_size)
{
	int r = p->phase == PHASE_UNPATCHING ? 0 : engine_revert(e, p->name, why, why_size);

	if (!r && force)
		engine_force(e);
	return r;
}

int engine_revert_below(struct engine *e, const char *name, bool force, char *why, size_t why_size)
{
	struct patch *p = engine_find(e, name);
	int r;

	if (!p || patch_is_finished(p)) {
		why_line("patch '%s' is not applied; `suture list` shows what is", name);
		return -ENOENT;
	}
	if (p->orphan)
		return revert_orphan(e, p, force, why, why_size);
	r = check_silent(e, p, why, why_size);
	if (!r)
		r = check_in_force(e, p, why, why_size);
	if (!r)
		r = check_others(e, p, why, why_size);
	if (!r)
		r = check_state(e, p, why, why_size);
	if (r)
		return r;
	log_limited(LOG_OPERATOR, LOG_WARN, "patch '%s': revert from below asked for%s", name,
		    force ? ", by force" : "");
	p->asked = &p->revert;
	p->error = 0;
	p->why[0] = 0;
	p->stuck = false;
	p->disabled_by[0] = 0;
	if (!p->alone)
		memset(p->left_out, 0, sizeof(p->left_out));
	catch_up(e, p);
	if (p->phase != PHASE_APPLIED && p->phase != PHASE_PATCHING && p->phase != PHASE_UNPATCHING)
		return 0;
	turn_off(e, p);
	if (force)
		engine_force(e);
	e->next_attempt_us = 0;
	return 0;
}
