/* SPDX-License-Identifier: BSD-2-Clause */
/* The rig's agent, and the user space that loads modules and writes to sysfs. */
#include "engine_rig.h"

static const char *state_text(struct rig *rig, const char *object)
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
static void check_pair(struct rig *rig, enum suture_callback cb, bool *pre, bool *post)
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

/* What the callback returns: only pre_patch has a say. */
static s32 verdict(const struct rig *rig, const struct rig_payload *p,
		   const struct suture_step_reply *r)
{
	const struct rig_refusal *no = &rig->refusal;

	if (r->callback != SUTURE_CB_PRE_PATCH)
		return 0;
	if (no->payload && !strcmp(no->payload, r->name) && no->is_state == r->is_state &&
	    no->index == r->index)
		return -ENODEV;
	return p->pre_patch_ret;
}

/* A shadow variable is what pre_patch allocates, and what is freed behind post_unpatch. */
static void run_state_callback(struct rig *rig, struct rig_payload *p, u32 index, u32 callback,
			       s32 ret)
{
	u64 id = p->def->states[index].id;

	if (callback == SUTURE_CB_SHADOW_DTOR) {
		assert_false(rig->state_pre[id]);
		rig->shadow_dtors++;
		rig->shadows[id] = 0;
	}
	if (ret)
		return;
	check_pair(rig, callback, &rig->state_pre[id], &rig->state_post[id]);
	if (callback == SUTURE_CB_PRE_PATCH && p->def->states[index].is_shadow)
		rig->shadows[id]++;
}

s32 run_callback(struct rig *rig, const struct suture_step_reply *r)
{
	static const char *const names[] = {"pre_patch_callback", "post_patch_callback",
					    "pre_unpatch_callback", "post_unpatch_callback",
					    "shadow_dtor"};
	struct rig_payload *p = rig_payload(rig, r->name);
	const char *object;
	s32 ret;

	assert_non_null(p);
	assert_int_not_equal(p->state, ABSENT);
	ret = verdict(rig, p, r);
	if (rig->tracing) {
		assert_true(rig->nr_trace < RIG_TRACE);
		rig->trace[rig->nr_trace++] =
			trace_of((u32)(p - rig->payloads), r->is_state, r->index, r->callback);
	}
	if (r->is_state) {
		rig_line(rig, "%s: %s: state %llu", p->def->name, names[r->callback],
			 (unsigned long long)p->def->states[r->index].id);
		run_state_callback(rig, p, r->index, r->callback, ret);
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

void give_step(struct rig *rig, enum suture_pump pump, const char *name, const char *module,
	       s32 result, struct suture_step_reply *r)
{
	struct suture_step m = {.pump = pump, .result = result};

	strcpy(m.name, name);
	strcpy(m.module, module);
	*r = (struct suture_step_reply){0};
	engine_step(rig->e, &m, r);
}

/* While the loader of a module waits, the poll worker goes on with what must come first. */
static void complete_transition(struct rig *rig)
{
	struct patch_info i;
	u32 n;

	for (n = 0; !engine_patch_info(rig->e, n, &i); n++)
		if (i.phase == PHASE_COMPLETING || i.phase == PHASE_UNCOMPLETING)
			pump(rig, SUTURE_PUMP_WORK, i.name, "");
}

/* A reference to the module, if it is still there, and a declaration with its addresses now. */
static s32 take_back(struct rig *rig, const char *name)
{
	struct rig_payload *p = rig_payload(rig, name);
	struct suture_declare *m;
	int r;

	if (rig->before_restore)
		rig->before_restore(rig, name);
	if (!p || p->state != LIVE || p->known)
		return -ENODEV;
	m = make_declaration(rig, p);
	m->flags |= SUTURE_DECL_RESTORE;
	if (rig->overridden) {
		m->error = -EBUSY;
		strncpy(m->why, rig->overridden, sizeof(m->why) - 1);
	}
	r = engine_declare(rig->e, m);
	p->known = !r;
	free(m);
	return r;
}

int pump(struct rig *rig, enum suture_pump pump, const char *name, const char *module)
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
		case SUTURE_STEP_RESTORE:
			assert_int_equal(pump, SUTURE_PUMP_WORK);
			result = take_back(rig, r.name);
			break;
		case SUTURE_STEP_SIGNAL:
			assert_int_equal(pump, SUTURE_PUMP_WORK);
			assert_int_not_equal(r.pid, 0);
			rig->signals++;
			rig->signalled_pid = r.pid;
			if (rig->on_signal)
				rig->on_signal(rig, r.pid);
			break;
		case SUTURE_STEP_LEAVE_IDLE:
			assert_int_equal(pump, SUTURE_PUMP_WORK);
			rig->idle_leaves++;
			if (rig->on_idle_leave)
				rig->on_idle_leave(rig);
			break;
		case SUTURE_STEP_WATCH:
			assert_int_equal(pump, SUTURE_PUMP_WORK);
			rig->watches++;
			result = rig->watch_error;
			rig->watching = !result;
			break;
		default:
			fail_msg("step %u", r.kind);
		}
	}
}

struct suture_declare *make_declaration(struct rig *rig, struct rig_payload *p)
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
			o[i].text_start = module_text(mod->place);
			o[i].text_end = o[i].text_start + MODULE_TEXT;
		}
	}
	for (i = 0; i < nf; i++) {
		strcpy(f[i].name, d->funcs[i].name);
		f[i].object = d->funcs[i].object;
		if (o[f[i].object].loaded && !strcmp(f[i].name, "missing")) {
			f[i].missing = SUTURE_NOT_FOUND;
		} else if (o[f[i].object].loaded) {
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

int declare(struct rig *rig, struct rig_payload *p)
{
	struct suture_declare *m = make_declaration(rig, p);
	int r = engine_declare(rig->e, m);

	free(m);
	return r;
}

int tell_module(struct rig *rig, const char *name, enum suture_module_state state, u64 text)
{
	struct {
		struct suture_module m;
		struct suture_decl_func funcs[RIG_MODULES * RIG_FUNCS];
		struct suture_decl_part parts[RIG_MODULES * RIG_FUNCS];
		struct suture_decl_clone clones[SUTURE_MAX_CLONES + 1];
	} *msg = calloc(1, sizeof(*msg));
	struct suture_decl_part *parts;
	struct suture_decl_clone *clones;
	u32 i, j, n = 0;
	int r;

	for (i = 0; state == SUTURE_MODULE_COMING && i < RIG_MODULES; i++) {
		const struct def *d = rig->payloads[i].def;

		for (j = 0; rig->payloads[i].known && j < count_funcs(d); j++) {
			if (strcmp(d->objects[d->funcs[j].object].name, name))
				continue;
			strcpy(msg->funcs[n].name, d->funcs[j].name);
			if (strcmp(d->funcs[j].name, "missing")) {
				msg->funcs[n].old_addr = symbol(rig, name, d->funcs[j].name);
				msg->funcs[n].old_size = 0x80;
			} else {
				msg->funcs[n].missing = SUTURE_NOT_FOUND;
			}
			msg->funcs[n++].hook = rig->ftrace_hook;
		}
	}
	strcpy(msg->m.name, name);
	msg->m.state = state;
	if (state == SUTURE_MODULE_COMING)
		msg->m.error = rig_module(rig, name)->error;
	msg->m.nr_funcs = n;
	msg->m.text_start = text;
	msg->m.text_end = text + MODULE_TEXT;
	parts = (void *)&msg->funcs[n];
	for (i = 0; i < n; i++)
		if (msg->funcs[i].old_addr)
			parts[msg->m.nr_parts++] = (struct suture_decl_part){
				.func = i, .addr = msg->funcs[i].old_addr + 0xc0, .size = 0x10};
	clones = (void *)&parts[msg->m.nr_parts];
	for (i = 0; i < n; i++)
		for (j = 0; j < rig->clones; j++) {
			struct suture_decl_clone *c = &clones[msg->m.nr_clones++];

			*c = (struct suture_decl_clone){.func = i,
							.nr_callers = 1 - rig->clones_short};
			snprintf(c->name, sizeof(c->name), "%.32s.part.%u", msg->funcs[i].name, j);
			strcpy(c->callers[0], "caller");
		}
	msg->m.more_clones = rig->more_clones;
	msg->m.msg.size =
		(su32)(sizeof(msg->m) + n * sizeof(msg->funcs[0]) +
		       msg->m.nr_parts * sizeof(*parts) + msg->m.nr_clones * sizeof(*clones));
	r = engine_module(rig->e, &msg->m);
	free(msg);
	return r;
}

void drop_range(struct rig *rig, u64 start)
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

int insmod(struct rig *rig, const char *name)
{
	struct rig_module *mod = rig_module(rig, name);
	u64 text = module_text(mod->place);
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

/* Of a replaced patch no callback runs, whatever becomes of its objects. */
static void forget_callbacks(struct rig *rig, const char *module)
{
	struct rig_payload *p;
	u32 i;

	for (p = rig->payloads; p < rig->payloads + RIG_MODULES; p++)
		for (i = 0; p->def && !p->known && i < count_objects(p->def); i++)
			if (!strcmp(p->def->objects[i].name, module))
				p->pre[i] = p->post[i] = false;
}

void rmmod(struct rig *rig, const char *name)
{
	struct rig_module *mod = rig_module(rig, name);
	u64 text = module_text(mod->place);

	assert_int_equal(mod->state, LIVE);
	rig_line(rig, "%s: exit", name);
	mod->state = GOING;
	assert_int_equal(tell_module(rig, name, SUTURE_MODULE_GOING, text), 0);
	assert_int_equal(pump(rig, SUTURE_PUMP_MODULE, "", name), 0);
	drop_range(rig, text);
	mod->state = ABSENT;
	forget_callbacks(rig, name);
	check_memory(rig);
}

void payload_goes(struct rig *rig, struct rig_payload *p)
{
	u64 text = payload_text((u32)(p - rig->payloads));

	p->state = GOING;
	drop_range(rig, text);
	tell_module(rig, p->def->name, SUTURE_MODULE_GOING, text);
	pump(rig, SUTURE_PUMP_MODULE, "", p->def->name);
	drop_range(rig, text);
	p->known = false;
	p->state = ABSENT;
	memset(p->pre, 0, sizeof(p->pre));
	memset(p->post, 0, sizeof(p->post));
	check_memory(rig);
}

int insmod_payload(struct rig *rig, const struct def *d)
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

int rmmod_payload(struct rig *rig, const char *name)
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

int echo(struct rig *rig, const char *name, u32 what, u32 value)
{
	struct suture_set m = {.what = what, .value = value, .comm = "s\nh", .pid = 412};
	int r;

	strcpy(m.name, name);
	r = engine_set(rig->e, &m);
	if (r)
		return r;
	return pump(rig, SUTURE_PUMP_SYSFS, name, "");
}

int disable(struct rig *rig, const char *name)
{
	return echo(rig, name, SUTURE_SET_ENABLED, 0);
}

void fetch_payload(struct rig *rig, const struct suture_work *w)
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

bool poll_once(struct rig *rig)
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

void settle(struct rig *rig, u32 ms)
{
	u32 i;

	for (i = 0; i < ms; i++) {
		engine_tick(rig->e);
		while (!rig->stopped && poll_once(rig))
			;
		rig->now_us += 1000;
	}
}
