/* SPDX-License-Identifier: BSD-2-Clause */
/* The operator's side: upload, revert, and the loads and unloads that the agent is asked for. */
#include "core/log.h"
#include "lib/errno.h"
#include "lib/format.h"
#include "lib/string.h"
#include "patch/engine/types.h"

#define LOAD_TIMEOUT_US 60000000ull
#define UNLOAD_TRIES	20
#define UNLOAD_PAUSE_US 250000
#define PAYLOAD_HINT	"see `suture log`, and the guest's kernel log"
#define why_line(...)	format(why, why_size, __VA_ARGS__)

static u64 now(const struct engine *e)
{
	return e->ops.now_us(e->ops.ctx);
}

/* ---- what stands in the way ---- */

int engine_check_idle(const struct engine *e, const struct patch *me, char *why, size_t why_size)
{
	const struct patch *p;

	for (p = e->patches; p; p = p->next) {
		if (p == me ||
		    (p != e->transition && p->phase != PHASE_UPLOADED && p->phase != PHASE_LOADING))
			continue;
		why_line("patch '%s' is %s: wait for it, or `suture revert %s`", p->name,
			 patch_phase_name(p->phase), p->name);
		return -EBUSY;
	}
	return 0;
}

static void hex(char *out, size_t size, const u8 *bytes, u32 len)
{
	u32 i;

	out[0] = 0;
	for (i = 0; i < len && 2 * i + 2 < size; i++)
		format(out + (size_t)2 * i, size - (size_t)2 * i, "%02x", bytes[i]);
}

static int check_build_id(const struct engine *e, const struct suture_manifest *m, char *why,
			  size_t why_size)
{
	u32 len = 0;
	const u8 *id = e->ops.build_id(e->ops.ctx, &len);
	char theirs[2 * sizeof(m->build_id) + 1], ours[sizeof(theirs)];

	if (id && len == m->build_id_len && !memcmp(id, m->build_id, len))
		return 0;
	hex(theirs, sizeof(theirs), m->build_id, m->build_id_len);
	hex(ours, sizeof(ours), id, id ? len : 0);
	why_line("patch '%s' is for the kernel with build-id %s, the guest runs %s: build it "
		 "against the guest's kernel",
		 m->name, theirs, id ? ours : "one that is not known yet");
	return -ENOEXEC;
}

/* ---- upload ---- */

static void ask_for_job(struct engine *e, struct patch *p, u64 due_us)
{
	p->job = ++e->last_job;
	p->job_given = false;
	p->job_due_us = due_us;
}

int engine_upload(struct engine *e, struct bundle *b, char *why, size_t why_size)
{
	const char *name = b->manifest.name;
	struct patch *p = engine_find(e, name);
	int r;

	if (p && !patch_is_finished(p)) {
		why_line("patch '%s' is %s already: `suture revert %s` first", name,
			 patch_phase_name(p->phase), name);
		return -EEXIST;
	}
	r = engine_check_agent(e, why, why_size);
	if (!r)
		r = check_build_id(e, &b->manifest, why, why_size);
	if (!r)
		r = engine_check_idle(e, p, why, why_size);
	if (r)
		return r;
	p = engine_add_patch(e, name);
	if (!p) {
		why_line("no memory for patch '%s': memory= in suture.conf is too small", name);
		return -ENOMEM;
	}
	p->from_bundle = p->has_bundle = true;
	p->bundle = *b;
	p->since_us = now(e);
	copy_text(p->version, sizeof(p->version), bundle_string(b, b->manifest.version),
		  sizeof(p->version));
	ask_for_job(e, p, 0);
	patch_set_phase(p, PHASE_UPLOADED);
	log_limited(LOG_OPERATOR, LOG_INFO, "patch '%s' uploaded: %zu bytes of payload", name,
		    b->payload_size);
	return 0;
}

void engine_be_strict(struct engine *e, const char *name)
{
	engine_find(e, name)->strict = true;
}

/* ---- revert ---- */

void engine_start_transition(struct engine *e, struct patch *p, bool on)
{
	e->transition = p;
	e->target_on = on;
	e->force = false;
	e->budget_us = e->config.budget_us;
	e->next_attempt_us = 0;
	converge_reset(e);
}

static void start_unload(struct engine *e, struct patch *p)
{
	patch_set_phase(p, PHASE_UNLOADING);
	engine_free_bundle(e, p);
	p->unload = true;
	p->tries = 0;
	p->since_us = now(e);
	ask_for_job(e, p, 0);
}

static int revert_applied(struct engine *e, struct patch *p, char *why, size_t why_size)
{
	u64 state = engine_blocked_state(e, p);
	int r = engine_check_idle(e, p, why, why_size);

	if (r)
		return r;
	if (state) {
		why_line("patch '%s' cannot be reverted: its state %llu is marked block_disable; "
			 "replace it by a patch that has the state",
			 p->name, (unsigned long long)state);
		return -EINVAL;
	}
	p->revert = (struct transition_report){0};
	engine_start_transition(e, p, false);
	p->todo = TODO_DISABLE;
	patch_set_phase(p, PHASE_DISABLING);
	return 0;
}

static int revert_disabled(struct engine *e, struct patch *p, char *why, size_t why_size)
{
	if (p->forced) {
		why_line("patch '%s' was forced: its module stays loaded until the guest boots "
			 "again, since a task may still be in its code",
			 p->name);
		return -EBUSY;
	}
	start_unload(e, p);
	return 0;
}

static int revert(struct engine *e, struct patch *p, char *why, size_t why_size)
{
	switch (p->phase) {
	case PHASE_UPLOADED:
		engine_free_bundle(e, p);
		patch_set_phase(p, PHASE_REVERTED);
		return 0;
	case PHASE_APPLIED:
		return revert_applied(e, p, why, why_size);
	case PHASE_DISABLED:
		return revert_disabled(e, p, why, why_size);
	case PHASE_PATCHING:
		if (p->todo != TODO_NOTHING)
			break;
		p->todo = TODO_REVERSE;
		return 0;
	case PHASE_DISABLING:
	case PHASE_UNPATCHING:
	case PHASE_UNCOMPLETING:
		if (!p->unload)
			return 0; /* sysfs disabled it: now it will be unloaded as well */
		why_line("patch '%s' is being reverted already (%s)", p->name,
			 patch_phase_name(p->phase));
		return -EALREADY;
	case PHASE_UNLOADING:
		why_line("patch '%s' is being unloaded already", p->name);
		return -EALREADY;
	case PHASE_RETURNING:
		why_line("patch '%s' comes back, the rollback of '%s' is under way: wait for it",
			 p->name, p->replaced_by->name);
		return -EBUSY;
	default:
		break;
	}
	why_line("patch '%s' is %s: ask again when that is done", p->name,
		 patch_phase_name(p->phase));
	return -EBUSY;
}

/* Behind the line that says that nobody answers. */
static void say_way_out(const struct patch *p, char *why, size_t why_size)
{
	size_t len = strlen(why);

	format(why + len, why_size - len,
	       "; `suture revert --from-below %s` does it without the agent: no callback runs, its "
	       "module stays loaded",
	       p->name);
}

int engine_revert(struct engine *e, const char *name, char *why, size_t why_size)
{
	struct patch *p = engine_find(e, name);
	int r;

	if (!p || patch_is_finished(p)) {
		why_line("patch '%s' is not applied; `suture list` shows what is", name);
		return -ENOENT;
	}
	if (!p->orphan) {
		r = engine_check_agent(e, why, why_size);
		if (r && p->installed)
			say_way_out(p, why, why_size);
		if (r)
			return r;
	}
	r = revert(e, p, why, why_size);
	if (r)
		return r;
	log_limited(LOG_OPERATOR, LOG_INFO, "patch '%s': revert asked for", name);
	p->unload = true;
	p->disabled_by[0] = 0;
	p->error = 0;
	p->why[0] = 0;
	return 0;
}

/* ---- cancel ---- */

static int cancel(struct engine *e, struct patch *p, char *why, size_t why_size)
{
	switch (p->phase) {
	case PHASE_PATCHING:
	case PHASE_UNPATCHING:
		if (p->todo != TODO_NOTHING || (e->run.patch == p && e->run.kind != SCRIPT_NONE &&
						e->run.kind != SCRIPT_SIGNAL))
			break;
		if (p->on != e->target_on)
			return 0;
		why_line("the transition of patch '%s' is being cancelled already", p->name);
		return -EALREADY;
	case PHASE_APPLIED:
	case PHASE_DISABLED:
		why_line("patch '%s' is %s, nothing is under way: `suture revert %s` takes it off",
			 p->name, patch_phase_name(p->phase), p->name);
		return -EALREADY;
	default:
		break;
	}
	why_line("patch '%s' is %s, which nobody can block: ask again in a moment if it is still "
		 "there",
		 p->name, patch_phase_name(p->phase));
	return -EBUSY;
}

int engine_cancel(struct engine *e, const char *name, char *why, size_t why_size)
{
	struct patch *p = engine_find(e, name);
	int r;

	if (!p || patch_is_finished(p)) {
		why_line("patch '%s' is not there; `suture status` shows what is in transition",
			 name);
		return -ENOENT;
	}
	if (!p->orphan && !p->alone) {
		r = engine_check_agent(e, why, why_size);
		if (r)
			return r;
	}
	r = cancel(e, p, why, why_size);
	if (r)
		return r;
	log_limited(LOG_OPERATOR, LOG_INFO, "patch '%s': cancel asked for", name);
	p->todo = TODO_REVERSE;
	p->stuck = false;
	p->error = 0;
	if (e->target_on) {
		patch_blame(p, -ECANCELED, "cancelled by the operator");
		p->unload = p->from_bundle;
	} else {
		/* it is as good as before */
		format(p->why, sizeof(p->why), "its %s was cancelled by the operator",
		       next_returning(e->patches) ? "rollback" : "revert");
	}
	return 0;
}

/* ---- the end ---- */

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
	patch_set_phase(p, p->has_bundle ? PHASE_LOADING : PHASE_FAILED);
}

/* What the operator did not ask for, or would not expect. */
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
		start_unload(e, p);
	else
		patch_set_phase(p, p->error ? PHASE_FAILED : PHASE_DISABLED);
	say_how_it_went_off(p);
}

/* ---- loads and unloads ---- */

static bool is_active(const struct engine *e)
{
	const struct patch *p;

	for (p = e->patches; p; p = p->next)
		if (p->phase == PHASE_UPLOADED || p->phase == PHASE_LOADING ||
		    p->phase == PHASE_UNLOADING)
			return true;
	return e->transition || e->run.kind != SCRIPT_NONE;
}

/* A patch that went off while the agent was silent. */
static struct patch *find_held(const struct engine *e)
{
	struct patch *p = e->patches;

	while (p && (!p->held || p == e->transition))
		p = p->next;
	return p;
}

static void give_pump(const struct patch *p, struct suture_work *reply)
{
	reply->kind = SUTURE_WORK_PUMP;
	str_copy(reply->name, p->name, sizeof(reply->name));
}

static void give_job(struct engine *e, struct patch *p, struct suture_work *reply)
{
	reply->id = p->job;
	str_copy(reply->name, p->name, sizeof(reply->name));
	p->job_given = true;
	p->since_us = now(e);
	e->job_out = p->job;
	e->job_out_us = p->since_us;
	if (p->phase == PHASE_UNLOADING) {
		reply->kind = SUTURE_WORK_UNLOAD;
		return;
	}
	reply->kind = SUTURE_WORK_LOAD;
	reply->size = p->bundle.payload_size;
	str_copy(reply->params, bundle_string(&p->bundle, p->bundle.manifest.params),
		 sizeof(reply->params));
	patch_set_phase(p, PHASE_LOADING);
}

void engine_work(struct engine *e, struct suture_work *reply)
{
	struct patch *p = e->transition;

	engine_hear(e);
	reply->kind = SUTURE_WORK_NONE;
	reply->active = is_active(e);
	if (p && e->run.kind == SCRIPT_NONE && !p->alone &&
	    ((p->todo != TODO_NOTHING && p->todo != TODO_ABANDON) || converge_wants_signal(e))) {
		give_pump(p, reply);
		return;
	}
	p = find_held(e);
	if (p && e->run.kind == SCRIPT_NONE) {
		give_pump(p, reply);
		return;
	}
	if (symbols_ask(e, reply))
		return;
	if (e->job_out && e->heard_us - e->job_out_us < LOAD_TIMEOUT_US)
		return;
	for (p = e->patches; p; p = p->next) {
		if ((p->phase != PHASE_UPLOADED && p->phase != PHASE_UNLOADING) || p->job_given ||
		    e->heard_us < p->job_due_us)
			continue;
		give_job(e, p, reply);
		return;
	}
}

static struct patch *find_job(struct engine *e, u32 id)
{
	struct patch *p;

	for (p = e->patches; p; p = p->next)
		if (p->job == id && p->job_given)
			return p;
	return NULL;
}

int engine_fetch(struct engine *e, const struct suture_fetch *m, struct suture_fetch_reply *reply,
		 void *bytes, size_t room)
{
	struct patch *p = find_job(e, m->id);

	engine_hear(e);
	reply->length = 0;
	if (!p || p->phase != PHASE_LOADING || !p->has_bundle)
		return -ENOENT;
	if (m->offset >= p->bundle.payload_size)
		return -EINVAL;
	reply->length =
		(u32)MIN(MIN((u64)m->length, (u64)room), p->bundle.payload_size - m->offset);
	memcpy(bytes, p->bundle.payload + m->offset, reply->length);
	return 0;
}

static void load_ended(struct engine *e, struct patch *p, s32 result, const char *text)
{
	engine_free_bundle(e, p);
	if (!result) {
		p->live = true;
		if (p->phase != PHASE_LOADING)
			return;
		patch_blame(p, -ENOEXEC, "its module loaded, but did not call klp_enable_patch()");
		start_unload(e, p);
		return;
	}
	/* the kernel brings init_module(2) to its end, whatever became of the helper */
	if (p->installed && p->live) {
		log_limited(LOG_PATCH, LOG_WARN,
			    "patch '%s': its module is loaded, whatever the guest reports",
			    p->name);
		return;
	}
	/* Its own steps have said why, if it came so far: that is closer to the cause. */
	patch_blame(p, result, "the guest did not load the payload: %s; " PAYLOAD_HINT,
		    text[0] ? text : errno_name(result));
	if (p->installed) {
		/* its init still runs: when that has ended nothing must be left */
		p->unload = true;
		if (p->todo == TODO_NOTHING)
			p->todo = TODO_REVERSE;
	} else if (p->phase == PHASE_LOADING) {
		engine_forget(e, p);
	}
}

static void unload_ended(struct engine *e, struct patch *p, s32 result, const char *text)
{
	if (!result || result == -ENOENT) {
		patch_set_phase(p, p->error ? PHASE_FAILED : PHASE_REVERTED);
		return;
	}
	if (++p->tries < UNLOAD_TRIES) {
		ask_for_job(e, p, now(e) + UNLOAD_PAUSE_US);
		return;
	}
	if (p->error) {
		patch_set_phase(p, PHASE_FAILED);
		return;
	}
	patch_blame(p, result,
		    "off, but the guest does not unload its module: %s; `suture revert %s` tries "
		    "again",
		    text[0] ? text : errno_name(result), p->name);
	patch_set_phase(p, PHASE_DISABLED);
}

int engine_loaded(struct engine *e, const struct suture_loaded *m)
{
	struct patch *p = find_job(e, m->id);
	char text[SUTURE_TEXT_LEN];
	s32 result = m->result > 0 ? -EINVAL : m->result;

	engine_hear(e);
	if (e->job_out == m->id)
		e->job_out = 0;
	if (!p) /* it took too long, or the patch was reverted before this report came */
		return -ENOENT;
	p->job_given = false;
	copy_text(text, sizeof(text), m->text, sizeof(m->text));
	log_limited(LOG_PATCH, LOG_INFO, "patch '%s': guest reports %s%s%s", p->name,
		    result ? errno_name(result) : "done", text[0] ? ": " : "", text);
	if (p->phase == PHASE_UNLOADING)
		unload_ended(e, p, result, text);
	else if (p->has_bundle)
		load_ended(e, p, result, text);
	return 0;
}

/* ---- what takes too long ---- */

static void load_timed_out(struct engine *e, struct patch *p)
{
	engine_free_bundle(e, p);
	p->job_given = false;
	patch_blame(p, -ETIMEDOUT,
		    "the guest did not load the payload in %u s: is /usr/lib/suture/ there? see "
		    "`suture log`",
		    SECONDS(LOAD_TIMEOUT_US));
	patch_set_phase(p, PHASE_FAILED);
}

/* Nobody fetched it: a guest that hangs is named long before a load would be given up. */
static void fetch_timed_out(struct engine *e, struct patch *p, u64 silent_us)
{
	engine_free_bundle(e, p);
	patch_blame(p, -ESRCH,
		    "agent silent for %u s: the guest hangs, or is stopped; nothing was loaded",
		    SECONDS(silent_us));
	patch_set_phase(p, PHASE_FAILED);
}

static void unload_timed_out(struct patch *p)
{
	enum patch_phase phase = p->error ? PHASE_FAILED : PHASE_DISABLED;

	p->job_given = false;
	patch_blame(p, -ETIMEDOUT,
		    "off, but the guest did not unload its module in %u s; `suture revert %s` "
		    "tries again",
		    SECONDS(LOAD_TIMEOUT_US), p->name);
	patch_set_phase(p, phase);
}

u64 engine_timeouts(struct engine *e, u64 time)
{
	u64 next = UINT64_MAX;
	struct patch *p;

	for (p = e->patches; p; p = p->next) {
		bool unloading = p->phase == PHASE_UNLOADING;

		if (p->phase != PHASE_UPLOADED && p->phase != PHASE_LOADING && !unloading)
			continue;
		if (p->phase == PHASE_UPLOADED && time - e->heard_us >= SILENCE_US)
			fetch_timed_out(e, p, time - e->heard_us);
		else if (p->phase == PHASE_UPLOADED)
			next = MIN(next, e->heard_us + SILENCE_US);
		else if (time - p->since_us < LOAD_TIMEOUT_US)
			next = MIN(next, p->since_us + LOAD_TIMEOUT_US);
		else if (unloading)
			unload_timed_out(p);
		else
			load_timed_out(e, p);
	}
	return next;
}

/* Is there something to do that the engine does for itself? */
static bool wants_no_agent(const struct patch *p)
{
	return p && (p->orphan || p->alone) && p->todo != TODO_NOTHING;
}

u64 engine_tick(struct engine *e)
{
	u64 time = now(e), next = engine_timeouts(e, time);
	struct patch *p = e->transition;

	if (wants_no_agent(p))
		engine_pump_alone(e, p);
	next = MIN(next, engine_watch(e, time));
	next = MIN(next, engine_attempt(e, time));
	next = MIN(next, engine_look(e, now(e)));
	return wants_no_agent(e->transition) ? time : next;
}
