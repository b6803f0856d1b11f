/* SPDX-License-Identifier: BSD-2-Clause */
/* Loads and unloads of payloads by the agent: the requests, the payload's bytes, the results. */
#include "core/log.h"
#include "lib/errno.h"
#include "lib/format.h"
#include "lib/string.h"
#include "patch/engine/types.h"

#define LOAD_TIMEOUT_US 60000000ull
#define UNLOAD_TRIES	20
#define UNLOAD_PAUSE_US 250000
#define PAYLOAD_HINT	"see `suture log`, and the guest's kernel log"

void engine_ask_for_job(struct engine *e, struct patch *p, u64 due_us)
{
	p->job = ++e->last_job;
	p->job_given = false;
	p->job_due_us = due_us;
}

void engine_start_unload(struct engine *e, struct patch *p)
{
	patch_set_phase(p, PHASE_UNLOADING);
	patch_free_bundle(p);
	p->unload = true;
	p->tries = 0;
	p->since_us = engine_now(e);
	engine_ask_for_job(e, p, 0);
}

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

bool engine_wants_agent(const struct engine *e)
{
	return is_active(e) || find_held(e);
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
	p->since_us = engine_now(e);
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
	    ((p->todo != TODO_NOTHING && p->todo != TODO_ABANDON) || engine_wants_pump(e))) {
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
	if (!p || p->phase != PHASE_LOADING || !p->loading)
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
	p->loading = false;
	if (!result) {
		p->live = true;
		if (p->phase != PHASE_LOADING)
			return;
		patch_blame(p, -ENOEXEC, "its module loaded, but did not call klp_enable_patch()");
		engine_start_unload(e, p);
		return;
	}
	/* the kernel completes init_module(2) even if the helper was killed */
	if (p->installed && p->live) {
		log_limited(LOG_PATCH, LOG_WARN,
			    "patch '%s': its module is loaded, whatever the guest reports",
			    p->name);
		return;
	}
	/* If its own steps have failed before, their reason stays: it is closer to the cause. */
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
		engine_ask_for_job(e, p, engine_now(e) + UNLOAD_PAUSE_US);
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
	else if (p->loading)
		load_ended(e, p, result, text);
	return 0;
}

/* ---- what takes too long ---- */

static void load_timed_out(struct patch *p)
{
	p->job_given = false;
	patch_blame(p, -ETIMEDOUT,
		    "the guest did not load the payload in %u s: is /usr/lib/suture/ there? see "
		    "`suture log`",
		    SECONDS(LOAD_TIMEOUT_US));
	patch_set_phase(p, PHASE_FAILED);
}

/* The agent did not fetch it: report a guest that hangs long before a load would time out. */
static void fetch_timed_out(struct patch *p, u64 silent_us)
{
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
			fetch_timed_out(p, time - e->heard_us);
		else if (p->phase == PHASE_UPLOADED)
			next = MIN(next, e->heard_us + SILENCE_US);
		else if (time - p->since_us < LOAD_TIMEOUT_US)
			next = MIN(next, p->since_us + LOAD_TIMEOUT_US);
		else if (unloading)
			unload_timed_out(p);
		else
			load_timed_out(p);
	}
	return next;
}
