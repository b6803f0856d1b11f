/* SPDX-License-Identifier: BSD-2-Clause */
/* The operator's side: upload, revert, cancel. */
#include "core/log.h"
#include "lib/errno.h"
#include "lib/format.h"
#include "lib/mutate.h"
#include "lib/string.h"
#include "patch/engine/types.h"
#include "patch/floor.h"
#include "patch/version.h"

#define why_line(...) format(why, why_size, __VA_ARGS__)

/* ---- reasons to refuse ---- */

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

static void format_hex(char *out, size_t size, const u8 *bytes, u32 len)
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
	format_hex(theirs, sizeof(theirs), m->build_id, m->build_id_len);
	format_hex(ours, sizeof(ours), id, id ? len : 0);
	why_line("patch '%s' is for the kernel with build-id %s, the guest runs %s: build it "
		 "against the guest's kernel",
		 m->name, theirs, id ? ours : "one that is not known yet");
	return -ENOEXEC;
}

static int check_machine(const struct engine *e, const struct bundle *b, char *why, size_t why_size)
{
	if (b->machine == e->config.machine)
		return 0;
	why_line("patch '%s' is for %s, and this machine is %s: build it against the guest's "
		 "kernel",
		 b->manifest.name, bundle_machine_name(b->machine),
		 bundle_machine_name(e->config.machine));
	return -ENOEXEC;
}

/* ---- upload ---- */

/* It is applied, or on its way there. */
static bool is_going_on(const struct engine *e, const struct patch *p)
{
	switch (p->phase) {
	case PHASE_UPLOADED:
	case PHASE_LOADING:
	case PHASE_ENABLING:
	case PHASE_COMPLETING:
	case PHASE_APPLIED:
		return true;
	case PHASE_PATCHING:
		return e->target_on && p->todo != TODO_REVERSE;
	default:
		return false;
	}
}

/* A copy of the bundle's list, *cves NULL if it is empty. -ENOMEM. */
static int copy_cves(struct engine *e, const struct bundle *b, char (**cves)[SUTURE_CVE_LEN])
{
	u32 count = b->manifest.nr_cves;

	*cves = count ? e->ops.alloc(e->ops.ctx, count * sizeof(**cves)) : NULL;
	if (count && !*cves)
		return -ENOMEM;
	for (u32 i = 0; i < count; i++)
		str_copy((*cves)[i], bundle_cve(b, i), sizeof(**cves));
	return 0;
}

int engine_check_version(struct engine *e, const struct bundle *b, char *why, size_t why_size)
{
	const char *name = b->manifest.name;
	const struct patch *p = engine_find(e, name);
	const char *least = e->config.floors ? floors_version(e->config.floors, name) : NULL;
	char version[sizeof(p->version)];

	copy_text(version, sizeof(version), bundle_string(b, b->manifest.version), sizeof(version));
	if (least && version_compare(version, least) < 0 && !MUTATION(version_floor)) {
		why_line("the bundle has version '%s' of patch '%s', and this machine's floor for "
			 "it is '%s': an operator's --allow-downgrade takes an older one",
			 version, name, least);
		return -EEXIST;
	}
	if (!p || !p->from_bundle || p->phase == PHASE_FAILED)
		return 0;
	if (version_compare(version, p->version) >= 0)
		return 0;
	why_line("the bundle has version '%s' of patch '%s', and '%s' has been here: "
		 "--allow-downgrade "
		 "takes an older one",
		 version, p->name, p->version);
	return -EEXIST;
}

int engine_upload(struct engine *e, struct bundle *b, char *why, size_t why_size)
{
	const char *name = b->manifest.name;
	struct patch *p = engine_find(e, name);
	char(*cves)[SUTURE_CVE_LEN];
	int r;

	bundle_hash(b);
	if (p && p->from_bundle && is_going_on(e, p) &&
	    !memcmp(p->digest, b->digest, sizeof(p->digest)))
		return 1;
	if (p && !patch_is_finished(p)) {
		why_line("patch '%s' is %s already: `suture revert %s` first", name,
			 patch_phase_name(p->phase), name);
		return -EEXIST;
	}
	r = check_machine(e, b, why, why_size);
	if (!r)
		r = engine_check_agent(e, why, why_size);
	if (!r)
		r = check_build_id(e, &b->manifest, why, why_size);
	if (!r)
		r = engine_check_idle(e, p, why, why_size);
	if (r)
		return r;
	p = copy_cves(e, b, &cves) ? NULL : engine_add_patch(e, name);
	if (!p) {
		if (cves)
			e->ops.free(e->ops.ctx, cves, b->manifest.nr_cves * sizeof(*cves));
		why_line("no memory for patch '%s': memory= in suture.conf is too small", name);
		return -ENOMEM;
	}
	p->from_bundle = p->has_bundle = p->loading = true;
	p->asked = &p->apply;
	p->bundle = *b;
	p->cves = cves;
	p->nr_cves = b->manifest.nr_cves;
	memcpy(p->digest, b->digest, sizeof(p->digest));
	p->since_us = engine_now(e);
	copy_text(p->version, sizeof(p->version), bundle_string(b, b->manifest.version),
		  sizeof(p->version));
	engine_ask_for_job(e, p, 0);
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

static int revert_applied(struct engine *e, struct patch *p, char *why, size_t why_size)
{
	u64 state = engine_blocked_state(e, p);
	int r = engine_check_idle(e, p, why, why_size);

	if (r)
		return r;
	if (state) {
		why_line("patch '%s' cannot be reverted: its state %llu is marked block_disable; "
			 "replace it by a patch that has the state",
			 p->name, state);
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
	engine_start_unload(e, p);
	return 0;
}

static int revert_patch(struct engine *e, struct patch *p, char *why, size_t why_size)
{
	switch (p->phase) {
	case PHASE_UPLOADED:
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

/* Appended to the line that says that the agent does not answer. */
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
	r = revert_patch(e, p, why, why_size);
	if (r)
		return r;
	log_limited(LOG_OPERATOR, LOG_INFO, "patch '%s': revert asked for", name);
	p->asked = patch_is_finished(p) ? NULL : &p->revert;
	p->unload = true;
	p->disabled_by[0] = 0;
	p->error = 0;
	p->why[0] = 0;
	return 0;
}

/* ---- cancel ---- */

static int cancel_patch(struct engine *e, struct patch *p, char *why, size_t why_size)
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
	r = cancel_patch(e, p, why, why_size);
	if (r)
		return r;
	log_limited(LOG_OPERATOR, LOG_INFO, "patch '%s': cancel asked for", name);
	p->asked = e->target_on ? &p->apply : &p->revert;
	p->todo = TODO_REVERSE;
	p->stuck = false;
	p->error = 0;
	if (e->target_on) {
		patch_blame(p, -ECANCELED, "cancelled by the operator");
		p->unload = p->from_bundle;
	} else {
		/* nothing of it has changed */
		format(p->why, sizeof(p->why), "its %s was cancelled by the operator",
		       next_returning(e->patches) ? "rollback" : "revert");
	}
	return 0;
}
