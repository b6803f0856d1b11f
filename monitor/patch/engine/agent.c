/* SPDX-License-Identifier: BSD-2-Clause */
/* The agent's side: its coming and going, sysfs, WITHDRAW and drops. DECLARE has its own file. */
#include "core/log.h"
#include "lib/errno.h"
#include "lib/format.h"
#include "lib/mutate.h"
#include "lib/string.h"
#include "patch/engine/types.h"

/* ---- the agent comes and goes ---- */

bool engine_agent_present(const struct engine *e)
{
	return e->agent;
}

int engine_agent_bye(struct engine *e)
{
	const struct patch *p;

	for (p = e->patches; p; p = p->next)
		if ((p->installed && !p->orphan) || p->phase == PHASE_LOADING)
			return -EBUSY;
	e->agent = false;
	engine_forget_shadow(e);
	return 0;
}

static bool has_redirect(const struct patch *p)
{
	u32 i;

	for (i = 0; i < p->nr_funcs; i++)
		if (p->funcs[i].on)
			return true;
	return false;
}

/* An orphan of which nothing is in force: the guest has started anew, or the patch was in progress.
 */
static void bury_orphan(struct engine *e, struct patch *p)
{
	p->error = 0;
	patch_blame(p, -ECANCELED,
		    "the agent that ran it is gone, and nothing of it is in force: apply it again");
	engine_forget(e, p);
	patch_set_phase(p, PHASE_FAILED);
}

/* The agent that ran this patch is gone without BYE: its kernel has started anew, or it died. */
static void lose_agent(struct engine *e, struct patch *p)
{
	u32 i;

	for (i = 0; i < p->nr_objects; i++) {
		p->objects[i].callbacks = 0;
		p->objects[i].event = EVENT_NONE;
	}
	for (i = 0; i < p->nr_states; i++) {
		p->states[i].callbacks = 0;
		p->states[i].is_shadow = p->states[i].shadows = false;
	}
	patch_forget_overrides(p);
	p->orphan = true;
	p->alone = false;
	p->stuck = p->returning = false;
	p->todo = TODO_NOTHING;
	if (has_redirect(p)) {
		/* what is on stays on: to take off a part would be worse */
		p->enabled = p->on = p->live = true;
		p->unload = false;
		for (i = 0; i < p->nr_objects; i++)
			p->objects[i].post_patched = p->objects[i].patched;
		patch_set_phase(p, PHASE_APPLIED);
		str_copy(p->why,
			 "in force, but the agent that ran it is gone: a revert will run no "
			 "callbacks and leave its module loaded",
			 sizeof(p->why));
		log_limited(LOG_PATCH, LOG_WARN, "patch '%s': %s", p->name, p->why);
		return;
	}
	bury_orphan(e, p);
}

void engine_agent_hello(struct engine *e)
{
	struct patch *p;

	e->run.kind = SCRIPT_NONE;
	e->transition = NULL;
	e->job_out = 0;
	e->agent = true;
	e->cannot_watch = false;
	engine_forget_health(e);
	engine_forget_shadow(e);
	engine_hear(e);
	for (p = e->patches; p; p = p->next) {
		p->job_given = p->held = false;
		if (p->phase == PHASE_UPLOADED)
			continue; /* for the new agent */
		p->loading = false;
		if (p->installed) {
			lose_agent(e, p);
		} else if (p->phase == PHASE_LOADING) {
			patch_blame(
				p, -ECANCELED,
				"the agent was lost while it loaded the payload: apply it again");
			patch_set_phase(p, PHASE_FAILED);
		} else if (p->phase == PHASE_DISABLED || p->phase == PHASE_UNLOADING) {
			patch_set_phase(p, p->error ? PHASE_FAILED : PHASE_REVERTED);
		}
	}
}

void engine_kernel_gone(struct engine *e, const char *why)
{
	struct patch *p;

	e->run.kind = SCRIPT_NONE;
	e->transition = NULL;
	e->agent = false;
	e->ended = NULL;
	e->put_back = false;
	engine_forget_health(e);
	engine_forget_shadow(e);
	e->job_out = 0;
	for (p = e->patches; p; p = p->next) {
		p->job_given = p->held = p->alone = false;
		if (patch_is_finished(p))
			continue;
		p->loading = false;
		patch_forget_redirects(p, NULL);
		p->error = 0;
		patch_blame(p, -ESHUTDOWN, "%s: nothing of it is in force, apply it again", why);
		engine_forget(e, p);
		patch_set_phase(p, PHASE_FAILED);
	}
}

/* ---- sysfs ---- */

/* "sh (pid 412)", whatever a task calls itself. */
static void name_writer(char *text, size_t size, const struct suture_set *m)
{
	char comm[sizeof(m->comm) + 1];

	copy_text(comm, sizeof(comm), m->comm, sizeof(m->comm));
	format(text, size, "%s (pid %u)", comm, m->pid);
}

static int set_force(struct engine *e, struct patch *p, bool on)
{
	if (!on)
		return 0;
	if (p != e->transition)
		return -EINVAL;
	engine_begin(e, SCRIPT_FORCE, SUTURE_PUMP_SYSFS, p);
	return 0;
}

/* The opposite of the transition under way. */
static void reverse_transition(struct engine *e, struct patch *p, bool on, const char *who)
{
	p->stuck = false;
	p->why[0] = 0;
	if (on)
		format(p->why, sizeof(p->why), "its way off was cancelled in the guest by %s", who);
	str_copy(p->disabled_by, on ? "" : who, sizeof(p->disabled_by));
	engine_begin(e, SCRIPT_REVERSE, SUTURE_PUMP_SYSFS, p);
}

static int set_enabled(struct engine *e, struct patch *p, bool on, const char *who)
{
	u64 state;

	if (on == p->enabled)
		return -EINVAL;
	if (p == e->transition) {
		reverse_transition(e, p, on, who);
		return 0;
	}
	if (on) /* Linux does not enable again what is disabled, and it is not in the list */
		return -EINVAL;
	if (e->transition && !MUTATION(one_transition)) {
		log_limited(LOG_PATCH, LOG_WARN,
			    "patch '%s' cannot be disabled now: '%s' is in transition", p->name,
			    e->transition->name);
		return -EBUSY;
	}
	state = engine_blocked_state(e, p);
	if (state) {
		log_limited(LOG_PATCH, LOG_WARN,
			    "patch '%s' cannot be disabled: its state %llu is marked block_disable",
			    p->name, state);
		return -EINVAL;
	}
	p->revert = (struct transition_report){0};
	p->error = 0;
	p->why[0] = 0;
	str_copy(p->disabled_by, who, sizeof(p->disabled_by));
	engine_start_transition(e, p, false);
	engine_begin(e, SCRIPT_DISABLE, SUTURE_PUMP_SYSFS, p);
	return 0;
}

int engine_set(struct engine *e, const struct suture_set *m)
{
	struct patch *p = engine_find(e, m->name);
	char who[sizeof(p->disabled_by)];
	int r;

	engine_hear(e);
	name_writer(who, sizeof(who), m);
	if (!e->config.guest_may_disable) {
		log_limited(
			LOG_AGENT, LOG_WARN,
			"patch '%s': %s in the guest wrote %u to `%s`: refused, suture.conf says "
			"guest_may_disable=no",
			m->name, who, m->value, m->what == SUTURE_SET_FORCE ? "force" : "enabled");
		return -EPERM;
	}
	if (!p || !p->installed || p->orphan)
		return -ENOENT;
	if (m->value > 1)
		return -EINVAL;
	if (e->run.kind != SCRIPT_NONE || (e->transition && e->transition->todo != TODO_NOTHING))
		return -EAGAIN;
	switch (m->what) {
	case SUTURE_SET_ENABLED:
		r = set_enabled(e, p, m->value, who);
		break;
	case SUTURE_SET_FORCE:
		r = set_force(e, p, m->value);
		break;
	default:
		return -EINVAL;
	}
	if (!r)
		log_limited(LOG_PATCH, LOG_INFO, "patch '%s': %s %u written in the guest by %s",
			    p->name, m->what == SUTURE_SET_FORCE ? "force" : "enabled", m->value,
			    who);
	return r;
}

/* ---- what is undone ---- */

int engine_withdraw(struct engine *e, const char *name)
{
	struct patch *p = engine_find(e, name);

	engine_hear(e);
	if (!p || !p->installed)
		return -ENOENT;
	if (p->on)
		return -EBUSY;
	if (e->run.kind != SCRIPT_NONE && e->run.patch != p)
		return -EAGAIN;
	e->run.kind = SCRIPT_NONE;
	patch_blame(p, -ECANCELED, "the agent withdrew it: see the guest's kernel log");
	engine_forget(e, p);
	return 0;
}

static void func_dropped(struct patch *p, struct func *f)
{
	f->on = false;
	if (strcmp(p->objects[f->object].name, "vmlinux"))
		return; /* its module goes: nothing of the patch has changed */
	format(p->why, sizeof(p->why),
	       "the guest dropped the redirect of '%s' (reboot, kexec, or its payload's memory was "
	       "freed)",
	       f->name);
	log_limited(LOG_PATCH, LOG_WARN, "patch '%s': %s", p->name, p->why);
}

void engine_dropped(struct engine *e, u64 key)
{
	struct patch *p;

	for (p = e->patches; p; p = p->next) {
		struct func *f = patch_func_at(p, key);

		if (f && f->on)
			func_dropped(p, f);
		if (p->orphan && p->installed && p != e->transition && !has_redirect(p))
			bury_orphan(e, p);
	}
}
