/* SPDX-License-Identifier: BSD-2-Clause */
/* The same event on both sides, and what must be the same afterwards. */
#include "engine_model.h"

struct rig model_rig;
struct model_counts counts;

/* ---- the same event, for real ---- */

static void switch_now(void)
{
	u32 i;

	for (i = 0; i < 8; i++) {
		engine_tick(model_rig.e);
		while (poll_once(&model_rig))
			;
	}
}

static void agent_vanishes(void)
{
	engine_agent_hello(model_rig.e);
}

static s32 happen(const struct event *e)
{
	const char *name = e->patch == NOBODY ? "" : model_defs[e->patch].name;
	struct rig_payload *p = e->patch == NOBODY ? NULL : &model_rig.payloads[e->patch];
	s32 r = 0;

	model_rig.nr_trace = 0;
	model_rig.refusal = (struct rig_refusal){0};
	if (e->refuses != NOBODY)
		model_rig.refusal = (struct rig_refusal){.payload = model_defs[e->refuses].name,
							 .is_state = e->is_state,
							 .index = e->index};
	switch (e->what) {
	case LOAD:
	case LOAD_INIT_FAILS:
		p->init_fails = e->what == LOAD_INIT_FAILS;
		return insmod_payload(&model_rig, p->def);
	case DISABLE:
	case ENABLE:
		return echo(&model_rig, name, SUTURE_SET_ENABLED, e->what == ENABLE);
	case FORCE:
		return echo(&model_rig, name, SUTURE_SET_FORCE, 1);
	case ROLLBACK:
		r = rollback(&model_rig, name);
		poll_once(&model_rig);
		return r;
	case REVERT_ORPHAN:
		r = revert(&model_rig, name);
		if (!r)
			switch_now();
		return r;
	case RMMOD:
		return rmmod_payload(&model_rig, name);
	case MODULE_COMES:
		return insmod(&model_rig, "m");
	case MODULE_GOES:
		rmmod(&model_rig, "m");
		return 0;
	case SWITCH:
		switch_now();
		return 0;
	case VANISH:
		agent_vanishes();
		return 0;
	default:
		return -EINVAL;
	}
}

/* ---- are they the same? ---- */

void model_print_event(const struct event *e)
{
	static const char *const names[] = {
		[LOAD] = "insmod",	    [LOAD_INIT_FAILS] = "insmod (init fails)",
		[DISABLE] = "disable",	    [ENABLE] = "enable",
		[FORCE] = "force",	    [ROLLBACK] = "rollback",
		[REVERT_ORPHAN] = "revert", [RMMOD] = "rmmod",
		[MODULE_COMES] = "m comes", [MODULE_GOES] = "m goes",
		[SWITCH] = "switch",	    [VANISH] = "agent vanishes"};

	print_error("  %s %s", names[e->what], e->patch == NOBODY ? "" : model_defs[e->patch].name);
	if (e->refuses != NOBODY)
		print_error(", %s's pre_patch of %s %u refuses", model_defs[e->refuses].name,
			    e->is_state ? "state" : "object", e->index);
	print_error("\n");
}

void model_print_trace(const char *whose, const u32 *trace, u32 n)
{
	static const char *const names[] = {"pre_patch", "post_patch", "pre_unpatch",
					    "post_unpatch", "shadow_dtor"};

	print_error("callbacks of the %s:\n", whose);
	for (u32 i = 0; i < n; i++) {
		const struct def *d = &model_defs[trace[i] >> 16];
		u32 index = trace[i] >> 4 & 0xff;

		if (trace[i] >> 12 & 1)
			print_error("  %s %s of state %u\n", d->name, names[trace[i] & 0xf],
				    (u32)d->states[index].id);
		else
			print_error("  %s %s of %s\n", d->name, names[trace[i] & 0xf],
				    d->objects[index].name);
	}
}

static void compare_functions(const struct model *m)
{
	static const struct {
		const char *object, *name;
	} functions[] = {{"vmlinux", "f"}, {"vmlinux", "g"}, {"m", "mf"}};

	for (u32 i = 0; i < ARRAY_SIZE(functions); i++) {
		u32 func = 0;
		int p = model_runs(m, functions[i].object, functions[i].name, &func);
		u64 want = p == NOBODY ? 0 : payload_text((u32)p) + 0x100 * (func + 1);
		u64 have = runs(&model_rig, functions[i].object, functions[i].name);

		check(have == want, "%s runs %#llx, the model says %s\n", functions[i].name,
		      (unsigned long long)have, p == NOBODY ? "original" : model_defs[p].name);
	}
}

static void compare_patches(const struct model *m)
{
	u32 moving = 0;

	for (int p = 0; p < MODEL_PATCHES; p++) {
		struct suture_patch_state s = {0};
		const struct model_patch *x = &m->patch[p];

		engine_query(model_rig.e, model_defs[p].name, &s);
		check(s.enabled == x->enabled, "%s: enabled is %u\n", model_defs[p].name,
		      s.enabled);
		check(!s.transition == (m->moving != p), "%s: transition is %u\n",
		      model_defs[p].name, s.transition);
		check((model_rig.payloads[p].state == LIVE) == x->loaded, "%s: its module is %u\n",
		      model_defs[p].name, model_rig.payloads[p].state);
		check(model_rig.payloads[p].known == x->held, "%s: held is %u\n",
		      model_defs[p].name, model_rig.payloads[p].known);
		moving += s.transition;
	}
	assert_true(moving <= 1);
}

/* Without its agent the state's history is not known: from here on it is what the model has. */
static void believe_states(const struct model *m)
{
	for (u32 id = 0; id < MODEL_STATES; id++) {
		int p = m->state[id].owner;

		model_rig.state_pre[id] = p != NOBODY;
		model_rig.state_post[id] = p != NOBODY && m->state[id].post;
		model_rig.shadows[id] = 0;
	}
}

/*
 * The code of an applied patch attaches shadow variables, also of states that another patch has
 * introduced.
 */
static void attach_shadows(const struct model *m)
{
	for (u32 n = 0; n < m->on.n; n++) {
		const struct def *d = &model_defs[m->on.p[n]];

		for (u32 i = 0; i < count_states(d); i++)
			if (d->states[i].is_shadow)
				model_rig.shadows[d->states[i].id] = 1;
	}
}

bool model_has_orphan(const struct model *m)
{
	for (int p = 0; p < MODEL_PATCHES; p++)
		if (m->patch[p].orphan)
			return true;
	return false;
}

static void compare_states(const struct model *m)
{
	for (u32 id = 0; id < MODEL_STATES; id++) {
		int p = m->state[id].owner;

		check(model_rig.state_pre[id] == (p != NOBODY), "state %u: %s\n", id,
		      model_rig.state_pre[id] ? "was not removed" : "is not there");
		check(model_rig.state_post[id] == (p != NOBODY && m->state[id].post),
		      "state %u: post_patch\n", id);
		check(p != NOBODY || !model_rig.shadows[id], "state %u left a shadow variable\n",
		      id);
	}
}

static void compare(const struct model *m, const struct event *e, const struct outcome *want,
		    s32 have, const struct snapshot *before)
{
	check(have == want->result, "result %d, the model says %d\n", have, want->result);
	if (model_rig.nr_trace != want->nr_trace ||
	    memcmp(model_rig.trace, want->trace, want->nr_trace * sizeof(model_rig.trace[0])) !=
		    0) {
		model_print_trace("engine", model_rig.trace, model_rig.nr_trace);
		model_print_trace("model", want->trace, want->nr_trace);
		fail();
	}
	compare_functions(m);
	compare_patches(m);
	if (e->what == VANISH || model_has_orphan(m))
		believe_states(m);
	else
		compare_states(m);
	attach_shadows(m);
	check(!want->same || !before || rig_is_unchanged(before),
	      "it is refused, but something has changed\n");
}

/* One event on both sides. False: it makes no sense now. */
bool model_step(struct model *m, const struct event *e, const struct snapshot *before,
		bool *changed)
{
	static struct outcome want;
	s32 have;

	if (!model_apply(m, e, &want))
		return false;
	have = happen(e);
	compare(m, e, &want, have, before);
	counts.steps++;
	counts.events[e->what]++;
	counts.unchanged += want.same;
	counts.refusals += want.refused;
	*changed = !want.same;
	return true;
}
