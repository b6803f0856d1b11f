/* SPDX-License-Identifier: BSD-2-Clause */
/* The routes that show patches, in JSON, and what /v1/status says of them. */
#include "api/api.h"
#include "guest/wanted.h"
#include "lib/errno.h"
#include "lib/format.h"
#include "lib/string.h"

void api_json_id(struct json *j, const char *key, u64 id)
{
	char text[24];

	format(text, sizeof(text), "%llu", id);
	json_str(j, key, text);
}

static void show_blocker(struct json *j, const struct blocker *b)
{
	if (!b->valid) {
		json_null(j, "blocker");
		return;
	}
	json_object(j, "blocker");
	json_u64(j, "attempt", b->attempt);
	json_u64(j, "pid", b->pid);
	json_strn(j, "comm", b->comm, sizeof(b->comm));
	json_strn(j, "func", b->func, sizeof(b->func));
	json_strn(j, "where", b->where, sizeof(b->where));
	json_address(j, "address", b->address);
	json_strn(j, "symbol", b->symbol, sizeof(b->symbol));
	json_array(j, "stack");
	for (u32 i = 0; i < MIN(b->nr_stack, BLOCKER_STACK); i++) {
		json_object(j, NULL);
		json_address(j, "address", b->stack[i].address);
		json_strn(j, "func", b->stack[i].func, sizeof(b->stack[i].func));
		json_strn(j, "symbol", b->stack[i].symbol, sizeof(b->stack[i].symbol));
		json_object_end(j);
	}
	json_array_end(j);
	json_object_end(j);
}

static void show_report(struct json *j, const char *key, const struct transition_report *r)
{
	json_object(j, key);
	json_bool(j, "from_below", r->from_below);
	json_strn(j, "left_out", r->left_out, sizeof(r->left_out));
	json_u64(j, "attempts", r->attempts);
	json_u64(j, "pause_last_us", r->pause_last_us);
	json_u64(j, "pause_max_us", r->pause_max_us);
	json_u64(j, "cpus_paused", r->cpus_paused);
	json_u64(j, "tasks_checked", r->tasks_checked);
	json_u64(j, "tasks_before_pause", r->tasks_before_pause);
	json_u64(j, "words_checked", r->words_checked);
	json_u64(j, "words_cleared", r->words_cleared);
	json_u64(j, "pages_remapped", r->pages_remapped);
	json_u64(j, "functions_redirected", r->functions_redirected);
	json_u64(j, "functions_verified", r->functions_verified);
	json_strn(j, "mismatch", r->mismatch, sizeof(r->mismatch));
	json_strn(j, "reason", r->reason, sizeof(r->reason));
	json_strn(j, "detail", r->detail, sizeof(r->detail));
	show_blocker(j, &r->blocker);
	json_object_end(j);
}

static bool is_final(enum patch_phase p)
{
	return p == PHASE_APPLIED || p == PHASE_DISABLED || p == PHASE_REVERTED ||
	       p == PHASE_FAILED;
}

/* The members of a patch, without its objects, functions and states. */
static void show_patch(struct json *j, const struct engine *e, u32 i, const struct patch_info *p)
{
	const char *cve;

	json_strn(j, "name", p->name, sizeof(p->name));
	json_strn(j, "version", p->version, sizeof(p->version));
	json_str(j, "phase", patch_phase_name(p->phase));
	json_bool(j, "final", is_final(p->phase));
	json_bool(j, "replace", p->replace);
	json_bool(j, "bundle", p->from_bundle);
	if (p->error)
		json_str(j, "error", errno_name(p->error));
	else
		json_null(j, "error");
	json_strn(j, "why", p->why, sizeof(p->why));
	json_bool(j, "stuck", p->stuck);
	if (p->stack_order)
		json_u64(j, "stack_order", p->stack_order);
	else
		json_null(j, "stack_order");
	json_bool(j, "forced", p->forced);
	json_u64(j, "objects_total", p->nr_objects);
	json_u64(j, "functions_total", p->nr_funcs);
	json_u64(j, "functions_not_in_force", p->nr_not_in_force);
	json_u64(j, "states_total", p->nr_states);
	json_u64(j, "clones_total", p->nr_clones + p->more_clones);
	if (p->from_bundle)
		json_bytes(j, "sha256", p->digest, sizeof(p->digest));
	else
		json_null(j, "sha256");
	json_array(j, "cves");
	for (u32 n = 0; (cve = engine_patch_cve(e, i, n)); n++)
		json_strn(j, NULL, cve, SUTURE_CVE_LEN);
	json_array_end(j);
	json_u64(j, "changed_us", p->changed_us);
	show_report(j, "apply", &p->apply);
	show_report(j, "revert", &p->revert);
}

static void show_objects(struct json *j, const struct engine *e, u32 patch)
{
	struct patch_object_info o;

	json_array(j, "objects");
	for (u32 i = 0; !engine_patch_object(e, patch, i, &o); i++) {
		json_object(j, NULL);
		json_strn(j, "name", o.name, sizeof(o.name));
		json_bool(j, "loaded", o.loaded);
		json_bool(j, "patched", o.patched);
		json_object_end(j);
	}
	json_array_end(j);
}

static void show_states(struct json *j, const struct engine *e, u32 patch)
{
	struct patch_state_info s;

	json_array(j, "states");
	for (u32 i = 0; !engine_patch_state(e, patch, i, &s); i++) {
		json_object(j, NULL);
		api_json_id(j, "id", s.id);
		json_u64(j, "version", s.version);
		json_bool(j, "is_shadow", s.is_shadow);
		json_bool(j, "block_disable", s.block_disable);
		if (s.owner[0])
			json_str(j, "owner", s.owner);
		else
			json_null(j, "owner");
		json_object_end(j);
	}
	json_array_end(j);
}

static void show_functions(struct json *j, const struct engine *e, u32 patch)
{
	struct patch_func_info f;

	json_array(j, "functions");
	for (u32 i = 0; !engine_patch_func(e, patch, i, &f); i++) {
		json_object(j, NULL);
		json_strn(j, "object", f.object, sizeof(f.object));
		json_strn(j, "name", f.name, sizeof(f.name));
		json_address(j, "old", f.old_addr);
		json_u64(j, "size", f.old_size);
		json_address(j, "new", f.new_addr);
		json_bool(j, "redirected", f.redirected);
		json_bool(j, "in_force", f.redirected && !f.covered_by[0] && !f.not_in_force[0]);
		json_strn(j, "covered_by", f.covered_by, sizeof(f.covered_by));
		json_strn(j, "not_in_force", f.not_in_force, sizeof(f.not_in_force));
		json_bool(j, "uncalled", f.uncalled);
		json_object_end(j);
	}
	json_array_end(j);
}

static void show_clones(struct json *j, const struct engine *e, u32 patch)
{
	struct patch_clone_info c;

	json_array(j, "clones");
	for (u32 i = 0; !engine_patch_clone(e, patch, i, &c); i++) {
		json_object(j, NULL);
		json_strn(j, "object", c.object, sizeof(c.object));
		json_strn(j, "function", c.func, sizeof(c.func));
		json_strn(j, "name", c.name, sizeof(c.name));
		json_u64(j, "callers_total", c.nr_callers);
		json_array(j, "callers");
		for (u32 n = 0; n < c.nr_named; n++)
			json_strn(j, NULL, c.callers[n], sizeof(c.callers[n]));
		json_array_end(j);
		json_object_end(j);
	}
	json_array_end(j);
}

static void show_tables(struct json *j, const struct engine *e, u32 patch, bool functions)
{
	show_objects(j, e, patch);
	if (functions)
		show_functions(j, e, patch);
	show_states(j, e, patch);
}

/* What the guest says that it wants, which it offers after its next boot too. */
static void show_wanted(struct json *j)
{
	const struct wanted *w;

	json_array(j, "wanted");
	for (u32 i = 0; (w = wanted_get(i)); i++) {
		json_object(j, NULL);
		json_strn(j, "name", w->name, sizeof(w->name));
		json_str(j, "state", wanted_name(w->state));
		json_strn(j, "why", w->text, sizeof(w->text));
		json_object_end(j);
	}
	json_array_end(j);
}

void api_patches(const struct engine *e, struct json *j, const struct http_request *rq,
		 const char *name, struct api_reply *reply)
{
	struct patch_info p;

	(void)rq, (void)name, (void)reply;
	json_array(j, "patches");
	for (u32 i = 0; !engine_patch_info(e, i, &p); i++) {
		json_object(j, NULL);
		show_patch(j, e, i, &p);
		json_object_end(j);
	}
	json_array_end(j);
	show_wanted(j);
}

void api_patch(const struct engine *e, struct json *j, const struct http_request *rq,
	       const char *name, struct api_reply *reply)
{
	struct patch_info p;
	u32 i = 0;

	(void)rq;
	for (; !engine_patch_info(e, i, &p); i++)
		if (!strcmp(p.name, name))
			break;
	if (engine_patch_info(e, i, &p)) {
		api_error(reply, 404, -ENOENT,
			  "no patch %s; GET /v1/patches lists those that there are", name);
		return;
	}
	show_patch(j, e, i, &p);
	show_tables(j, e, i, true);
	show_clones(j, e, i);
}

static void show_transition_and_counts(const struct engine *e, struct json *j)
{
	u32 counts[PHASE_FAILED + 1] = {0}, total = 0;
	bool found = false;
	struct patch_info p;

	for (; !engine_patch_info(e, total, &p); total++) {
		const struct transition_report *r =
			p.phase == PHASE_PATCHING ? &p.apply : &p.revert;

		counts[p.phase]++;
		if (found || (p.phase != PHASE_PATCHING && p.phase != PHASE_UNPATCHING))
			continue;
		found = true;
		json_object(j, "transition");
		json_strn(j, "patch", p.name, sizeof(p.name));
		json_str(j, "phase", patch_phase_name(p.phase));
		json_u64(j, "attempts", r->attempts);
		json_bool(j, "stuck", p.stuck);
		json_strn(j, "why", p.why, sizeof(p.why));
		json_strn(j, "reason", r->reason, sizeof(r->reason));
		json_strn(j, "detail", r->detail, sizeof(r->detail));
		show_blocker(j, &r->blocker);
		json_object_end(j);
	}
	if (!found)
		json_null(j, "transition");
	json_object(j, "patches");
	json_u64(j, "total", total);
	for (u32 i = 0; i <= PHASE_FAILED; i++)
		if (counts[i])
			json_u64(j, patch_phase_name(i), counts[i]);
	json_object_end(j);
}

static bool is_current(const struct patch_info *p)
{
	return p->phase != PHASE_REVERTED && p->phase != PHASE_FAILED;
}

/* The status must fit into an answer: functions above this number are left out. */
#define STATUS_FUNCS_MAX 1000u

void api_show_current(const struct engine *e, struct json *j)
{
	struct patch_info p;
	u32 functions = 0;

	show_transition_and_counts(e, j);
	for (u32 i = 0; !engine_patch_info(e, i, &p); i++)
		functions += is_current(&p) ? p.nr_funcs : 0;
	json_array(j, "current");
	for (u32 i = 0; !engine_patch_info(e, i, &p); i++) {
		if (!is_current(&p))
			continue;
		json_object(j, NULL);
		show_patch(j, e, i, &p);
		show_tables(j, e, i, functions <= STATUS_FUNCS_MAX);
		json_object_end(j);
	}
	json_array_end(j);
}
