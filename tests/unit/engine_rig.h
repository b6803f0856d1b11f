/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest for the engine's tests: kernel text, modules, payloads, an agent that pumps, and a
 * machine whose redirects are a table. It knows Linux's rules by itself and asserts them at each
 * step: callbacks in pairs, only of what is loaded, no redirect into or out of memory that is not
 * there.
 */
#ifndef TESTS_ENGINE_RIG_H
#define TESTS_ENGINE_RIG_H

#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <stdio.h>
#include <cmocka.h>

#include "core/errno.h"
#include "core/lib/string.h"
#include "patch/engine.h"

#define VMLINUX	     0xffffffff81000000ull
#define VMLINUX_SIZE 0x1000000ull
#define MODULES	     0xffffffffc0000000ull
#define MODULES_SIZE 0x10000000ull
#define MODULE_TEXT  0x10000ull

#define ALL_CALLBACKS	0xfu
#define RIG_LINES	512
#define RIG_MODULES	8
#define RIG_FUNCS	8
#define RIG_STATES	4
#define RIG_IDS		16
#define RIG_REDIRECTS	64
#define RIG_PAYLOAD	5000 /* bytes of a payload in a bundle */
#define RIG_UNUSED	__attribute__((unused))
#define lines(rig, ...) rig_expect(rig, (const char *const[]){__VA_ARGS__, NULL})

/* What a payload's source would say. */
struct def {
	const char *name;
	bool replace;
	bool parts; /* every function has a part, in the original and in the payload */
	struct {
		const char *name;
		u32 callbacks;
	} objects[RIG_MODULES];
	struct {
		u32 object;
		const char *name;
	} funcs[RIG_FUNCS];
	struct {
		u64 id;
		u32 version, is_shadow, block_disable;
	} states[RIG_STATES];
};

enum module_state { ABSENT, COMING, LIVE, GOING };

struct rig_module {
	const char *name;
	enum module_state state;
};

struct rig_payload {
	const struct def *def;
	enum module_state state;
	bool known; /* the agent has it in its list, and a reference to its module */
	s32 pre_patch_ret;
	bool init_fails; /* behind klp_enable_patch() */
	bool no_patch;	 /* its init does not call klp_enable_patch() */
	s32 load_error;
	bool pre[RIG_MODULES], post[RIG_MODULES];
};

struct rig {
	struct engine *e;
	u64 now_us;
	u8 build_id[20];
	struct rig_module modules[RIG_MODULES];
	struct rig_payload payloads[RIG_MODULES];
	struct {
		u64 key, to;
	} redirects[RIG_REDIRECTS];
	const char *busy; /* somebody sleeps in this function, whatever its version */
	u32 busy_pid;	  /* who; 0: 7 */
	u32 signals, signalled_pid;
	void (*on_signal)(struct rig *rig, u32 pid);
	int switch_error, validate_error;
	bool short_pause;
	u64 last_budget_us;
	u32 switches;
	struct check_range also[RIG_FUNCS * 2]; /* of the last attempt */
	u32 nr_also;
	bool state_pre[RIG_IDS], state_post[RIG_IDS]; /* by id: a state is introduced once */
	u32 shadow_dtors;
	void (*hook)(struct rig *rig); /* between any two steps */
	long allocated;
	u32 fail_alloc; /* the n-th allocation from now on fails */
	char *log[RIG_LINES];
	u32 nr_lines;
	bool stopped;	  /* the agent does not poll */
	bool silent_drop; /* dropping a range is not told: the queue is full */
	int unload_error;
	char why[192];
};

static RIG_UNUSED void rig_line(struct rig *rig, const char *fmt, ...)
{
	va_list ap;

	assert_true(rig->nr_lines < RIG_LINES);
	va_start(ap, fmt);
	assert_true(vasprintf(&rig->log[rig->nr_lines++], fmt, ap) >= 0);
	va_end(ap);
}

static RIG_UNUSED void rig_clear(struct rig *rig)
{
	while (rig->nr_lines)
		free(rig->log[--rig->nr_lines]);
}

/* The kernel log since the last call, line by line. */
static RIG_UNUSED void rig_expect(struct rig *rig, const char *const *want)
{
	u32 i;

	for (i = 0; i < rig->nr_lines && want[i] && !strcmp(want[i], rig->log[i]); i++)
		;
	if (i < rig->nr_lines || want[i]) {
		print_error("line %u of the kernel log is\n    %s\nand must be\n    %s\n", i + 1,
			    i < rig->nr_lines ? rig->log[i] : "(none)",
			    want[i] ? want[i] : "(none)");
		fail();
	}
	rig_clear(rig);
}

/* ---- addresses ---- */

static RIG_UNUSED u64 module_text(u32 slot)
{
	return MODULES + slot * MODULE_TEXT;
}

static RIG_UNUSED u64 payload_text(u32 slot)
{
	return MODULES + (0x100 + slot) * MODULE_TEXT;
}

static RIG_UNUSED struct rig_module *rig_module(struct rig *rig, const char *name)
{
	u32 i;

	for (i = 0; i < RIG_MODULES && rig->modules[i].name; i++)
		if (!strcmp(rig->modules[i].name, name))
			return &rig->modules[i];
	assert_true(i < RIG_MODULES);
	rig->modules[i].name = name;
	return &rig->modules[i];
}

/* The same name has the same address in every patch. */
static RIG_UNUSED u64 symbol(struct rig *rig, const char *object, const char *name)
{
	u64 hash = 5381;

	while (*name)
		hash = hash * 33 + (u8)*name++;
	if (!strcmp(object, "vmlinux"))
		return VMLINUX + hash % 0x8000 * 0x100;
	return module_text((u32)(rig_module(rig, object) - rig->modules)) + hash % 0x80 * 0x100;
}

static RIG_UNUSED struct rig_payload *rig_payload(struct rig *rig, const char *name)
{
	u32 i;

	for (i = 0; i < RIG_MODULES; i++)
		if (rig->payloads[i].def && !strcmp(rig->payloads[i].def->name, name))
			return &rig->payloads[i];
	return NULL;
}

static RIG_UNUSED struct rig_payload *rig_add(struct rig *rig, const struct def *def)
{
	struct rig_payload *p = rig_payload(rig, def->name);
	u32 i;

	for (i = 0; !p && i < RIG_MODULES; i++)
		if (!rig->payloads[i].def)
			p = &rig->payloads[i];
	assert_non_null(p);
	p->def = def;
	return p;
}

static RIG_UNUSED u32 count_objects(const struct def *d)
{
	u32 n = 0;

	while (n < RIG_MODULES && d->objects[n].name)
		n++;
	return n;
}

static RIG_UNUSED u32 count_funcs(const struct def *d)
{
	u32 n = 0;

	while (n < RIG_FUNCS && d->funcs[n].name)
		n++;
	return n;
}

static RIG_UNUSED u32 count_states(const struct def *d)
{
	u32 n = 0;

	while (n < RIG_STATES && d->states[n].id)
		n++;
	return n;
}

/* ---- the machine ---- */

static RIG_UNUSED u64 *redirect_slot(struct rig *rig, u64 key)
{
	u32 i;

	for (i = 0; i < RIG_REDIRECTS; i++)
		if (rig->redirects[i].key == key && rig->redirects[i].to)
			return &rig->redirects[i].to;
	for (i = 0; i < RIG_REDIRECTS; i++)
		if (!rig->redirects[i].to) {
			rig->redirects[i].key = key;
			return &rig->redirects[i].to;
		}
	fail_msg("too many redirects");
	return NULL;
}

/* What runs when the function is called: the address of a new version, or 0 for the original. */
static RIG_UNUSED u64 runs(struct rig *rig, const char *object, const char *name)
{
	return *redirect_slot(rig, symbol(rig, object, name));
}

static RIG_UNUSED u32 count_redirects(struct rig *rig)
{
	u32 i, n = 0;

	for (i = 0; i < RIG_REDIRECTS; i++)
		n += rig->redirects[i].to != 0;
	return n;
}

static RIG_UNUSED void check_memory(struct rig *rig)
{
	u32 i;

	for (i = 0; i < RIG_REDIRECTS; i++) {
		u64 key = rig->redirects[i].key, to = rig->redirects[i].to;

		if (!to)
			continue;
		if (key >= MODULES)
			assert_int_not_equal(rig->modules[(key - MODULES) / MODULE_TEXT].state,
					     ABSENT);
		assert_true(to >= payload_text(0) && to < payload_text(RIG_MODULES));
		assert_int_not_equal(rig->payloads[(to - payload_text(0)) / MODULE_TEXT].state,
				     ABSENT);
	}
}

static RIG_UNUSED int rig_try_switch(void *ctx, const struct switch_set *set, u64 budget_us,
				     struct transition_report *r)
{
	struct rig *rig = ctx;
	u32 i, j;

	r->attempts++;
	rig->last_budget_us = budget_us;
	rig->nr_also = MIN(set->nr_also, (u32)ARRAY_SIZE(rig->also));
	if (rig->nr_also)
		memcpy(rig->also, set->also, rig->nr_also * sizeof(rig->also[0]));
	assert_true(set->count + set->nr_also > 0);
	for (i = 0; i < set->count; i++) {
		const struct switch_func *f = &set->funcs[i];
		u64 now = *redirect_slot(rig, f->key);

		/* the engine must know what is true now */
		assert_int_equal(f->active_addr, now ? now : f->old_addr);
		assert_int_not_equal(f->new_addr, now);
		assert_true(f->active_size > 0);
		assert_int_equal(f->key, f->old_addr);
		for (j = 0; j < i; j++)
			assert_int_not_equal(set->funcs[j].key, f->key);
		if (rig->busy && set->care == SWITCH_SAFE && !strcmp(rig->busy, f->name)) {
			r->blocker = (struct blocker){.valid = true,
						      .pid = rig->busy_pid ? rig->busy_pid : 7,
						      .comm = "some\nbody"};
			str_copy(r->blocker.func, f->name, sizeof(r->blocker.func));
			str_copy(r->reason, "somebody sleeps in it", sizeof(r->reason));
			return -EAGAIN;
		}
	}
	if (rig->short_pause) {
		str_copy(r->reason, "the pause was too short", sizeof(r->reason));
		return -EAGAIN;
	}
	if (rig->switch_error) {
		str_copy(r->reason, "no room", sizeof(r->reason));
		return rig->switch_error;
	}
	for (i = 0; i < set->count; i++)
		*redirect_slot(rig, set->funcs[i].key) = set->funcs[i].new_addr;
	rig->switches++;
	r->functions_redirected += set->count;
	check_memory(rig);
	return 0;
}

static RIG_UNUSED int rig_validate(void *ctx, const struct switch_set *set,
				   struct transition_report *r)
{
	struct rig *rig = ctx;

	assert_true(set->count > 0);
	if (rig->validate_error)
		snprintf(r->reason, sizeof(r->reason), "%s is too short", set->funcs[0].name);
	return rig->validate_error;
}

static RIG_UNUSED bool rig_is_text(void *ctx, bool module, u64 va, u64 len)
{
	u64 start = module ? MODULES : VMLINUX, size = module ? MODULES_SIZE : VMLINUX_SIZE;

	(void)ctx;
	return va >= start && va - start < size && len <= size - (va - start);
}

static RIG_UNUSED const u8 *rig_build_id(void *ctx, u32 *len)
{
	struct rig *rig = ctx;

	*len = sizeof(rig->build_id);
	return rig->build_id;
}

static RIG_UNUSED u64 rig_now(void *ctx)
{
	return ((struct rig *)ctx)->now_us;
}

static RIG_UNUSED void *rig_alloc(void *ctx, size_t size)
{
	struct rig *rig = ctx;

	if (rig->fail_alloc && !--rig->fail_alloc)
		return NULL;
	rig->allocated += (long)size;
	return calloc(1, size);
}

static RIG_UNUSED void rig_free(void *ctx, void *p, size_t size)
{
	((struct rig *)ctx)->allocated -= (long)size;
	free(p);
}

/* ---- bundles ---- */

static RIG_UNUSED u32 add_string(char *pool, u32 *used, const char *s)
{
	u32 at = *used;

	strcpy(pool + at, s);
	*used += (u32)strlen(s) + 1;
	return at;
}

/* The bundle that `suture build` would make of def; rig_free() it. */
static RIG_UNUSED u8 *make_bundle(struct rig *rig, const struct def *d, size_t *size)
{
	struct suture_manifest m = {.build_id_len = sizeof(rig->build_id), .nr_cves = 1};
	struct suture_bundle h = {.magic = SUTURE_BUNDLE_MAGIC, .version = SUTURE_BUNDLE_VERSION};
	struct suture_manifest_object objects[RIG_MODULES] = {0};
	struct suture_manifest_func funcs[RIG_FUNCS] = {0};
	struct suture_manifest_state states[RIG_STATES] = {0};
	char pool[2048] = "";
	u32 used = 1, i, j, n = 0, cve;
	u8 *out, *at;

	memcpy(m.build_id, rig->build_id, sizeof(rig->build_id));
	strcpy(m.name, d->name);
	m.flags = d->replace ? SUTURE_MANIFEST_REPLACE : 0;
	m.version = add_string(pool, &used, "1.2");
	m.params = add_string(pool, &used, "debug=1");
	cve = add_string(pool, &used, "CVE-2026-1234");
	m.nr_objects = count_objects(d);
	m.nr_funcs = count_funcs(d);
	m.nr_states = count_states(d);
	for (i = 0; i < m.nr_objects; i++) {
		objects[i].name = add_string(pool, &used, d->objects[i].name);
		for (j = 0; j < m.nr_funcs; j++) {
			if (d->funcs[j].object != i)
				continue;
			objects[i].nr_funcs++;
			funcs[n].name = add_string(pool, &used, d->funcs[j].name);
			funcs[n++].size = 0x70;
		}
	}
	for (i = 0; i < m.nr_states; i++) {
		states[i].id = d->states[i].id;
		states[i].version = d->states[i].version;
		states[i].flags = d->states[i].is_shadow | d->states[i].block_disable << 1;
	}
	m.strings_size = used;
	h.manifest_offset = sizeof(h);
	h.manifest_size =
		(u32)(sizeof(m) + m.nr_objects * sizeof(*objects) + m.nr_funcs * sizeof(*funcs) +
		      m.nr_states * sizeof(*states) + sizeof(cve) + used);
	h.payload_offset = ALIGN_UP(h.manifest_offset + h.manifest_size, 8u);
	h.payload_size = RIG_PAYLOAD - 3;
	h.signature_offset = ALIGN_UP(h.payload_offset + h.payload_size, 8u);
	h.signature_size = sizeof(struct suture_signature);
	h.total_size = h.signature_offset + h.signature_size;

	*size = h.total_size;
	out = rig_alloc(rig, *size);
	memcpy(out, &h, sizeof(h));
	at = out + h.manifest_offset;
	memcpy(at, &m, sizeof(m));
	at += sizeof(m);
	memcpy(at, objects, m.nr_objects * sizeof(*objects));
	at += m.nr_objects * sizeof(*objects);
	memcpy(at, funcs, m.nr_funcs * sizeof(*funcs));
	at += m.nr_funcs * sizeof(*funcs);
	memcpy(at, states, m.nr_states * sizeof(*states));
	at += m.nr_states * sizeof(*states);
	memcpy(at, &cve, sizeof(cve));
	memcpy(at + sizeof(cve), pool, used);
	for (i = 0; i < h.payload_size; i++)
		out[h.payload_offset + i] = (u8)(i * 7);
	return out;
}

/* `suture apply` */
static RIG_UNUSED int upload(struct rig *rig, const struct def *d)
{
	struct bundle b;
	size_t size;
	u8 *data = make_bundle(rig, d, &size);
	int r;

	rig_add(rig, d);
	rig->why[0] = 0;
	r = bundle_parse(&b, data, size, rig->why, sizeof(rig->why));
	assert_int_equal(r, 0);
	r = engine_upload(rig->e, &b, rig->why, sizeof(rig->why));
	if (r)
		rig_free(rig, data, size);
	return r;
}

static RIG_UNUSED int cancel(struct rig *rig, const char *name)
{
	rig->why[0] = 0;
	return engine_cancel(rig->e, name, rig->why, sizeof(rig->why));
}

static RIG_UNUSED int revert(struct rig *rig, const char *name)
{
	rig->why[0] = 0;
	return engine_revert(rig->e, name, rig->why, sizeof(rig->why));
}

/* ---- the agent ---- */

static RIG_UNUSED const char *state_text(struct rig *rig, const char *object)
{
	static const char *const texts[] = {
		[ABSENT] = " -> absent",
		[COMING] = " -> [MODULE_STATE_COMING] Full formed, running module_init",
		[LIVE] = " -> [MODULE_STATE_LIVE] Normal state",
		[GOING] = " -> [MODULE_STATE_GOING] Going away",
	};

	return strcmp(object, "vmlinux") ? texts[rig_module(rig, object)->state] : "";
}

/* Callbacks come in pairs, each unpatch callback after its patch callback, once. */
static RIG_UNUSED void check_pair(struct rig *rig, enum suture_callback cb, bool *pre, bool *post)
{
	bool good[] = {!*pre && !*post, *pre && !*post, *post, *pre && !*post, true};
	u32 i;

	if (!good[cb]) {
		for (i = 0; i < rig->nr_lines; i++)
			print_error("  log: %s\n", rig->log[i]);
		fail_msg("the last callback has no counterpart");
	}
	if (cb == SUTURE_CB_PRE_PATCH || cb == SUTURE_CB_POST_UNPATCH)
		*pre = cb == SUTURE_CB_PRE_PATCH;
	else if (cb != SUTURE_CB_SHADOW_DTOR)
		*post = cb == SUTURE_CB_POST_PATCH;
}

static RIG_UNUSED s32 run_callback(struct rig *rig, const struct suture_step_reply *r)
{
	static const char *const names[] = {"pre_patch_callback", "post_patch_callback",
					    "pre_unpatch_callback", "post_unpatch_callback",
					    "shadow_dtor"};
	struct rig_payload *p = rig_payload(rig, r->name);
	s32 ret = r->callback == SUTURE_CB_PRE_PATCH ? p->pre_patch_ret : 0;
	const char *object;
	u64 id;

	assert_non_null(p);
	assert_int_not_equal(p->state, ABSENT);
	if (r->is_state) {
		rig_line(rig, "%s: %s: state %llu", p->def->name, names[r->callback],
			 (unsigned long long)p->def->states[r->index].id);
		if (r->callback == SUTURE_CB_SHADOW_DTOR)
			rig->shadow_dtors++;
		id = p->def->states[r->index].id;
		if (!ret)
			check_pair(rig, r->callback, &rig->state_pre[id], &rig->state_post[id]);
		return ret;
	}
	object = p->def->objects[r->index].name;
	assert_true(p->def->objects[r->index].callbacks & 1u << r->callback);
	if (strcmp(object, "vmlinux"))
		assert_int_not_equal(rig_module(rig, object)->state, ABSENT);
	rig_line(rig, "%s: %s: %s%s", p->def->name, names[r->callback], object,
		 state_text(rig, object));
	if (!ret && p->def->objects[r->index].callbacks == ALL_CALLBACKS)
		check_pair(rig, r->callback, &p->pre[r->index], &p->post[r->index]);
	return ret;
}

static RIG_UNUSED void give_step(struct rig *rig, enum suture_pump pump, const char *name,
				 const char *module, s32 result, struct suture_step_reply *r)
{
	struct suture_step m = {.pump = pump, .result = result};

	strcpy(m.name, name);
	strcpy(m.module, module);
	*r = (struct suture_step_reply){0};
	engine_step(rig->e, &m, r);
}

static int pump(struct rig *rig, enum suture_pump pump, const char *name, const char *module);

/* While the loader of a module waits, the poll worker goes on with what must come first. */
static RIG_UNUSED void complete_transition(struct rig *rig)
{
	struct patch_info i;
	u32 n;

	for (n = 0; !engine_patch_info(rig->e, n, &i); n++)
		if (i.phase == PHASE_COMPLETING || i.phase == PHASE_UNCOMPLETING)
			pump(rig, SUTURE_PUMP_WORK, i.name, "");
}

static RIG_UNUSED int pump(struct rig *rig, enum suture_pump pump, const char *name,
			   const char *module)
{
	struct suture_step_reply r;
	s32 result = 0;
	int waits = 0;

	for (;;) {
		if (rig->hook)
			rig->hook(rig);
		give_step(rig, pump, name, module, result, &r);
		result = 0;
		switch (r.kind) {
		case SUTURE_STEP_DONE:
			return r.result;
		case SUTURE_STEP_WAIT:
			if (pump != SUTURE_PUMP_MODULE)
				return 0;
			assert_true(waits++ < 10000);
			rig->now_us += 1000;
			complete_transition(rig);
			break;
		case SUTURE_STEP_LOG:
			rig_line(rig, "livepatch: %s", r.text);
			break;
		case SUTURE_STEP_CALLBACK:
			result = run_callback(rig, &r);
			break;
		case SUTURE_STEP_RETIRED:
			assert_non_null(rig_payload(rig, r.name));
			rig_payload(rig, r.name)->known = false;
			break;
		case SUTURE_STEP_SIGNAL:
			assert_int_equal(pump, SUTURE_PUMP_WORK);
			assert_int_not_equal(r.pid, 0);
			rig->signals++;
			rig->signalled_pid = r.pid;
			if (rig->on_signal)
				rig->on_signal(rig, r.pid);
			break;
		default:
			fail_msg("step %u", r.kind);
		}
	}
}

static RIG_UNUSED struct suture_declare *make_declaration(struct rig *rig, struct rig_payload *p)
{
	const struct def *d = p->def;
	u32 no = count_objects(d), nf = count_funcs(d), ns = count_states(d), i;
	u32 slot = (u32)(p - rig->payloads);
	size_t size = sizeof(struct suture_declare) + no * sizeof(struct suture_decl_object) +
		      nf * sizeof(struct suture_decl_func) + ns * sizeof(struct suture_decl_state) +
		      (d->parts ? 2 * nf : 0) * sizeof(struct suture_decl_part);
	struct suture_declare *m = calloc(1, size);
	struct suture_decl_object *o = (void *)(m + 1);
	struct suture_decl_func *f = (void *)(o + no);
	struct suture_decl_state *s = (void *)(f + nf);
	struct suture_decl_part *part = (void *)(s + ns);

	m->msg.size = (su32)size;
	strcpy(m->name, d->name);
	m->text_start = payload_text(slot);
	m->text_end = m->text_start + MODULE_TEXT;
	m->flags = d->replace ? SUTURE_DECL_REPLACE : 0;
	m->nr_objects = no;
	m->nr_funcs = nf;
	m->nr_states = ns;
	for (i = 0; i < no; i++) {
		bool vmlinux = !strcmp(d->objects[i].name, "vmlinux");
		struct rig_module *mod = vmlinux ? NULL : rig_module(rig, d->objects[i].name);

		strcpy(o[i].name, d->objects[i].name);
		o[i].callbacks = d->objects[i].callbacks;
		o[i].loaded = vmlinux || mod->state == LIVE;
		if (mod && o[i].loaded) {
			o[i].text_start = module_text((u32)(mod - rig->modules));
			o[i].text_end = o[i].text_start + MODULE_TEXT;
		}
	}
	for (i = 0; i < nf; i++) {
		strcpy(f[i].name, d->funcs[i].name);
		f[i].object = d->funcs[i].object;
		if (o[f[i].object].loaded) {
			f[i].old_addr = symbol(rig, o[f[i].object].name, f[i].name);
			f[i].old_size = 0x80;
		}
		f[i].new_addr = m->text_start + 0x100 * (i + 1);
		f[i].new_size = 0x90;
		if (!d->parts)
			continue;
		if (f[i].old_addr)
			part[m->nr_parts++] = (struct suture_decl_part){
				.func = i, .addr = f[i].old_addr + 0xa0, .size = 0x10};
		part[m->nr_parts++] = (struct suture_decl_part){
			.func = i, .is_new = 1, .addr = f[i].new_addr + 0xa0, .size = 0x20};
	}
	if (d->parts)
		m->msg.size -= (2 * nf - m->nr_parts) * (su32)sizeof(*part);
	for (i = 0; i < ns; i++) {
		s[i].id = d->states[i].id;
		s[i].version = d->states[i].version;
		s[i].is_shadow = d->states[i].is_shadow;
		s[i].block_disable = d->states[i].block_disable;
		s[i].callbacks = ALL_CALLBACKS;
	}
	return m;
}

static RIG_UNUSED int declare(struct rig *rig, struct rig_payload *p)
{
	struct suture_declare *m = make_declaration(rig, p);
	int r = engine_declare(rig->e, m);

	free(m);
	return r;
}

static RIG_UNUSED int tell_module(struct rig *rig, const char *name, enum suture_module_state state,
				  u64 text)
{
	struct {
		struct suture_module m;
		struct suture_decl_func funcs[RIG_MODULES * RIG_FUNCS];
		struct suture_decl_part parts[RIG_MODULES * RIG_FUNCS];
	} *msg = calloc(1, sizeof(*msg));
	struct suture_decl_part *parts;
	u32 i, j, n = 0;
	int r;

	for (i = 0; state == SUTURE_MODULE_COMING && i < RIG_MODULES; i++) {
		const struct def *d = rig->payloads[i].def;

		for (j = 0; rig->payloads[i].known && j < count_funcs(d); j++) {
			if (strcmp(d->objects[d->funcs[j].object].name, name))
				continue;
			strcpy(msg->funcs[n].name, d->funcs[j].name);
			if (strcmp(d->funcs[j].name, "missing"))
				msg->funcs[n].old_addr = symbol(rig, name, d->funcs[j].name);
			msg->funcs[n++].old_size = 0x80;
		}
	}
	strcpy(msg->m.name, name);
	msg->m.state = state;
	msg->m.nr_funcs = n;
	msg->m.text_start = text;
	msg->m.text_end = text + MODULE_TEXT;
	parts = (void *)&msg->funcs[n];
	for (i = 0; i < n; i++)
		if (msg->funcs[i].old_addr)
			parts[msg->m.nr_parts++] = (struct suture_decl_part){
				.func = i, .addr = msg->funcs[i].old_addr + 0xc0, .size = 0x10};
	msg->m.msg.size = (su32)(sizeof(msg->m) + n * sizeof(msg->funcs[0]) +
				 msg->m.nr_parts * sizeof(*parts));
	r = engine_module(rig->e, &msg->m);
	free(msg);
	return r;
}

/* SUTURE_HC_DROP_RANGE, and the service loop's engine_dropped(). */
static RIG_UNUSED void drop_range(struct rig *rig, u64 start)
{
	u32 i;

	for (i = 0; i < RIG_REDIRECTS; i++) {
		u64 key = rig->redirects[i].key, to = rig->redirects[i].to;

		if (!to || (key - start >= MODULE_TEXT && to - start >= MODULE_TEXT))
			continue;
		rig->redirects[i].to = 0;
		if (!rig->silent_drop)
			engine_dropped(rig->e, key);
	}
}

static RIG_UNUSED int insmod(struct rig *rig, const char *name)
{
	struct rig_module *mod = rig_module(rig, name);
	u64 text = module_text((u32)(mod - rig->modules));
	int r;

	assert_int_equal(mod->state, ABSENT);
	mod->state = COMING;
	assert_int_equal(tell_module(rig, name, SUTURE_MODULE_COMING, text), 0);
	r = pump(rig, SUTURE_PUMP_MODULE, "", name);
	if (r) {
		mod->state = ABSENT;
		check_memory(rig);
		return r;
	}
	rig_line(rig, "%s: init", name);
	mod->state = LIVE;
	assert_int_equal(tell_module(rig, name, SUTURE_MODULE_LIVE, text), 0);
	return 0;
}

static RIG_UNUSED void rmmod(struct rig *rig, const char *name)
{
	struct rig_module *mod = rig_module(rig, name);
	u64 text = module_text((u32)(mod - rig->modules));

	assert_int_equal(mod->state, LIVE);
	rig_line(rig, "%s: exit", name);
	mod->state = GOING;
	assert_int_equal(tell_module(rig, name, SUTURE_MODULE_GOING, text), 0);
	assert_int_equal(pump(rig, SUTURE_PUMP_MODULE, "", name), 0);
	drop_range(rig, text);
	mod->state = ABSENT;
	check_memory(rig);
}

static RIG_UNUSED void payload_goes(struct rig *rig, struct rig_payload *p)
{
	u64 text = payload_text((u32)(p - rig->payloads));

	p->state = GOING;
	if (p->known) {
		drop_range(rig, text);
		tell_module(rig, p->def->name, SUTURE_MODULE_GOING, text);
		pump(rig, SUTURE_PUMP_MODULE, "", p->def->name);
		drop_range(rig, text);
	}
	p->known = false;
	p->state = ABSENT;
	memset(p->pre, 0, sizeof(p->pre));
	memset(p->post, 0, sizeof(p->post));
	check_memory(rig);
}

/* insmod of a payload: its init calls klp_enable_patch(). */
static RIG_UNUSED int insmod_payload(struct rig *rig, const struct def *d)
{
	struct rig_payload *p = rig_add(rig, d);
	u64 text = payload_text((u32)(p - rig->payloads));
	int r = 0;

	if (p->state != ABSENT)
		return -EEXIST;
	if (p->load_error)
		return p->load_error;
	p->state = COMING;
	if (!p->no_patch) {
		p->known = true;
		r = declare(rig, p);
		if (!r)
			r = pump(rig, SUTURE_PUMP_INIT, d->name, "");
		if (r)
			p->known = false;
	}
	if (!r && p->init_fails)
		r = -ENOMEM;
	if (r) {
		payload_goes(rig, p);
		return r;
	}
	p->state = LIVE;
	if (p->known)
		tell_module(rig, d->name, SUTURE_MODULE_LIVE, text);
	return 0;
}

static RIG_UNUSED int rmmod_payload(struct rig *rig, const char *name)
{
	struct rig_payload *p = rig_payload(rig, name);

	if (!p || p->state == ABSENT)
		return -ENOENT;
	if (rig->unload_error)
		return rig->unload_error;
	if (p->known)
		return -EBUSY;
	payload_goes(rig, p);
	return 0;
}

/* echo value > /sys/kernel/suture/name/{enabled,force} */
static RIG_UNUSED int echo(struct rig *rig, const char *name, u32 what, u32 value)
{
	struct suture_set m = {.what = what, .value = value};
	int r;

	strcpy(m.name, name);
	r = engine_set(rig->e, &m);
	if (r)
		return r;
	return pump(rig, SUTURE_PUMP_SYSFS, name, "");
}

static RIG_UNUSED int disable(struct rig *rig, const char *name)
{
	return echo(rig, name, SUTURE_SET_ENABLED, 0);
}

static RIG_UNUSED void fetch_payload(struct rig *rig, const struct suture_work *w)
{
	static u8 bytes[1000];
	struct suture_fetch m = {.id = w->id, .length = sizeof(bytes)};
	struct suture_fetch_reply r = {0};
	u32 i;

	while (m.offset < w->size) {
		assert_int_equal(engine_fetch(rig->e, &m, &r, bytes, sizeof(bytes)), 0);
		assert_int_equal(r.length, MIN(sizeof(bytes), w->size - m.offset));
		for (i = 0; i < r.length; i++)
			assert_int_equal(bytes[i], (u8)((m.offset + i) * 7));
		m.offset += r.length;
	}
	assert_int_equal(engine_fetch(rig->e, &m, &r, bytes, sizeof(bytes)), -EINVAL);
}

/* One round of the poll worker. Returns false if there was nothing to do. */
static RIG_UNUSED bool poll_once(struct rig *rig)
{
	struct suture_work w = {0};
	struct suture_loaded l = {0};

	engine_work(rig->e, &w);
	l.id = w.id;
	switch (w.kind) {
	case SUTURE_WORK_LOAD:
		assert_string_equal(w.params, "debug=1");
		fetch_payload(rig, &w);
		l.result = insmod_payload(rig, rig_payload(rig, w.name)->def);
		if (l.result)
			strcpy(l.text, "init_module: see dmesg");
		engine_loaded(rig->e, &l);
		return true;
	case SUTURE_WORK_UNLOAD:
		l.result = rmmod_payload(rig, w.name);
		engine_loaded(rig->e, &l);
		return true;
	case SUTURE_WORK_PUMP:
		pump(rig, SUTURE_PUMP_WORK, w.name, "");
		return true;
	default:
		return false;
	}
}

/* Let time pass until nothing happens any more, or for `ms`. */
static RIG_UNUSED void settle(struct rig *rig, u32 ms)
{
	u32 i;

	for (i = 0; i < ms; i++) {
		engine_tick(rig->e);
		while (!rig->stopped && poll_once(rig))
			;
		rig->now_us += 1000;
	}
}

/* ---- questions ---- */

static RIG_UNUSED struct patch_info info(struct rig *rig, const char *name)
{
	struct patch_info i;
	u32 n;

	for (n = 0; !engine_patch_info(rig->e, n, &i); n++)
		if (!strcmp(i.name, name))
			return i;
	fail_msg("no patch '%s'", name);
	return i;
}

static RIG_UNUSED struct suture_patch_state query(struct rig *rig, const char *name)
{
	struct suture_patch_state s = {0};

	assert_int_equal(engine_query(rig->e, name, &s), 0);
	return s;
}

static RIG_UNUSED void assert_phase(struct rig *rig, const char *name, enum patch_phase phase)
{
	struct patch_info i = info(rig, name);

	if (i.phase != phase)
		print_error("'%s' is %s (%s), not %s\n", name, patch_phase_name(i.phase), i.why,
			    patch_phase_name(phase));
	assert_int_equal(i.phase, phase);
}

#define assert_why(rig, text) assert_text((rig)->why, text)

static RIG_UNUSED void assert_text(const char *have, const char *want)
{
	if (!strstr(have, want))
		fail_msg("\"%s\" does not say \"%s\"", have, want);
}

/* ---- its beginning and end ---- */

static RIG_UNUSED void rig_start_retry(struct rig *rig, u64 retry_us, u64 retry_max_us)
{
	struct engine_ops ops = {
		.try_switch = rig_try_switch,
		.validate = rig_validate,
		.is_text = rig_is_text,
		.build_id = rig_build_id,
		.now_us = rig_now,
		.alloc = rig_alloc,
		.free = rig_free,
		.ctx = rig,
	};
	struct engine_config config = {
		.guest_patches = true,
		.retry_us = retry_us,
		.retry_max_us = retry_max_us,
		.budget_us = 1000,
		.budget_max_us = 8000,
	};

	*rig = (struct rig){.now_us = 1000000, .build_id = {0xab, 0xcd, 1, 2, 3}};
	rig->e = engine_create(&ops, &config);
	assert_non_null(rig->e);
	engine_agent_hello(rig->e);
}

static RIG_UNUSED void rig_start(struct rig *rig)
{
	rig_start_retry(rig, 20000, 20000);
}

static RIG_UNUSED void rig_stop(struct rig *rig)
{
	rig_clear(rig);
	engine_destroy(rig->e);
	assert_int_equal(rig->allocated, 0);
}

#endif
