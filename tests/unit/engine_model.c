/* SPDX-License-Identifier: BSD-2-Clause */
#include "engine_model.h"

const struct def model_defs[MODEL_PATCHES] = {
	{.name = "p",
	 .objects = {{"vmlinux", ALL_CALLBACKS}, {"m", ALL_CALLBACKS}},
	 .funcs = {{0, "f"}, {0, "g"}, {1, "mf"}},
	 .states = {{.id = 1, .is_shadow = 1}, {.id = 2}}},
	{.name = "q",
	 .objects = {{"m", ALL_CALLBACKS}, {"vmlinux", ALL_CALLBACKS}},
	 .funcs = {{1, "g"}, {0, "mf"}},
	 .states = {{.id = 3, .block_disable = 1}, {.id = 1}}},
	{.name = "r",
	 .replace = true,
	 .objects = {{"vmlinux", ALL_CALLBACKS}, {"m", ALL_CALLBACKS}},
	 .funcs = {{0, "f"}, {1, "mf"}},
	 .states = {{.id = 2}, {.id = 4, .is_shadow = 1}}},
	{.name = "t",
	 .replace = true,
	 .objects = {{"vmlinux", ALL_CALLBACKS}},
	 .funcs = {{0, "g"}},
	 .states = {{.id = 3}}},
};

/* ---- lists ---- */

static bool has(const struct list *l, int p)
{
	for (u32 i = 0; i < l->n; i++)
		if (l->p[i] == p)
			return true;
	return false;
}

static void append(struct list *l, int p)
{
	l->p[l->n++] = p;
}

static struct list without(const struct list *l, int p)
{
	struct list r = {0};

	for (u32 i = 0; i < l->n; i++)
		if (l->p[i] != p)
			append(&r, l->p[i]);
	return r;
}

/* ---- what patches have ---- */

static int state_of(int p, u32 id)
{
	for (u32 i = 0; i < count_states(&model_defs[p]); i++)
		if (model_defs[p].states[i].id == id)
			return (int)i;
	return NOBODY;
}

static bool any_has(const struct list *l, u32 id)
{
	for (u32 i = 0; i < l->n; i++)
		if (state_of(l->p[i], id) != NOBODY)
			return true;
	return false;
}

static int newest_with(const struct list *l, u32 id)
{
	int found = NOBODY;

	for (u32 i = 0; i < l->n; i++)
		if (state_of(l->p[i], id) != NOBODY)
			found = l->p[i];
	return found;
}

static bool is_there(const struct model *m, int p, u32 object)
{
	return m->module || !strcmp(model_defs[p].objects[object].name, "vmlinux");
}

/* All that take part: in force, or on their way there or back; in the order of the stack. */
static struct list involved(const struct model *m)
{
	struct list all = m->on;
	const struct list *back;

	if (m->moving == NOBODY)
		return all;
	if (!m->rollback) {
		if (!has(&all, m->moving))
			append(&all, m->moving);
		return all;
	}
	/* those that come back stand right below the one that had replaced them */
	back = m->up ? &m->from : &m->to;
	all.n = 0;
	for (u32 i = 0; i < m->on.n; i++) {
		for (u32 j = 0; m->on.p[i] == m->moving && j < back->n; j++)
			if (!has(&m->on, back->p[j]))
				append(&all, back->p[j]);
		append(&all, m->on.p[i]);
	}
	return all;
}

/* ---- callbacks ---- */

static const struct event *now;

/* Returns whether it refuses. */
static bool call(const struct model *m, struct outcome *o, int p, bool is_state, u32 index,
		 enum suture_callback cb)
{
	if (m->patch[p].orphan)
		return false;
	o->trace[o->nr_trace++] = trace_of((u32)p, is_state, index, cb);
	if (cb != SUTURE_CB_PRE_PATCH || now->refuses != p || now->is_state != is_state ||
	    now->index != index)
		return false;
	o->refused = true;
	return true;
}

static bool object_in(struct model *m, struct outcome *o, int p, u32 i)
{
	if (call(m, o, p, false, i, SUTURE_CB_PRE_PATCH))
		return false;
	m->patch[p].pre[i] = true;
	return true;
}

static void object_out(struct model *m, struct outcome *o, int p, u32 i)
{
	m->patch[p].pre[i] = m->patch[p].post[i] = false;
	call(m, o, p, false, i, SUTURE_CB_POST_UNPATCH);
}

static void object_post(struct model *m, struct outcome *o, int p, u32 i)
{
	m->patch[p].post[i] = true;
	call(m, o, p, false, i, SUTURE_CB_POST_PATCH);
}

static void state_out(struct model *m, struct outcome *o, int p, u32 i)
{
	u32 id = (u32)model_defs[p].states[i].id;

	m->state[id].owner = NOBODY;
	m->state[id].post = false;
	call(m, o, p, true, i, SUTURE_CB_POST_UNPATCH);
	if (m->state[id].shadows)
		call(m, o, p, true, i, SUTURE_CB_SHADOW_DTOR);
}

static void state_post(struct model *m, struct outcome *o, int p, u32 i)
{
	m->state[model_defs[p].states[i].id].post = true;
	call(m, o, p, true, i, SUTURE_CB_POST_PATCH);
}

/* States that p introduces, being one that comes. False: one refuses. */
static bool states_in(struct model *m, struct outcome *o, int p)
{
	for (u32 i = 0; i < count_states(&model_defs[p]); i++) {
		u32 id = (u32)model_defs[p].states[i].id;

		if (m->state[id].owner == NOBODY) {
			if (call(m, o, p, true, i, SUTURE_CB_PRE_PATCH))
				return false;
			m->state[id].owner = p;
			m->state[id].shadows = false;
		}
		m->state[id].shadows |=
			model_defs[p].states[i].is_shadow && !m->patch[m->state[id].owner].orphan;
	}
	return true;
}

static bool objects_in(struct model *m, struct outcome *o, int p)
{
	for (u32 i = 0; i < count_objects(&model_defs[p]); i++)
		if (is_there(m, p, i) && !m->patch[p].pre[i] && !object_in(m, o, p, i))
			return false;
	return true;
}

/* The states that nobody in `to` has: newest patch first, last state first. */
static void states_leave(struct model *m, struct outcome *o)
{
	struct list all = involved(m);

	for (u32 n = all.n; n-- > 0;) {
		for (u32 i = count_states(&model_defs[all.p[n]]); i-- > 0;) {
			u32 id = (u32)model_defs[all.p[n]].states[i].id;

			if (m->state[id].owner != all.p[n] || !m->state[id].post ||
			    any_has(&m->to, id))
				continue;
			m->state[id].post = false;
			call(m, o, all.p[n], true, i, SUTURE_CB_PRE_UNPATCH);
		}
	}
}

/* Those that stay take over what those that go had. */
static void inherit(struct model *m)
{
	for (u32 id = 0; id < MODEL_STATES; id++) {
		int heir = newest_with(&m->to, id);

		if (m->state[id].owner == NOBODY || has(&m->to, m->state[id].owner) ||
		    heir == NOBODY)
			continue;
		m->state[id].owner = heir;
		m->state[id].shadows |= model_defs[heir].states[state_of(heir, id)].is_shadow;
	}
}

static void states_arrive(struct model *m, struct outcome *o)
{
	for (u32 n = 0; n < m->to.n; n++) {
		for (u32 i = 0; i < count_states(&model_defs[m->to.p[n]]); i++) {
			u32 id = (u32)model_defs[m->to.p[n]].states[i].id;

			if (m->state[id].owner == m->to.p[n] && !m->state[id].post)
				state_post(m, o, m->to.p[n], i);
		}
	}
}

/* ---- transitions ---- */

static void begin(struct model *m, int p, bool up, struct list to)
{
	m->moving = p;
	m->up = up;
	m->from = m->on;
	m->to = to;
	m->rollback = false;
}

static void pre_unpatch(struct model *m, struct outcome *o, int p)
{
	for (u32 i = 0; i < count_objects(&model_defs[p]); i++) {
		if (!m->patch[p].post[i])
			continue;
		m->patch[p].post[i] = false;
		call(m, o, p, false, i, SUTURE_CB_PRE_UNPATCH);
	}
	states_leave(m, o);
	m->patch[p].enabled = false;
}

static void let_go(struct model *m, int p)
{
	m->patch[p].enabled = false;
	if (!m->patch[p].forced)
		m->patch[p].held = false;
	if (m->patch[p].orphan)
		m->patch[p].known = false;
}

static void end_up(struct model *m, struct outcome *o)
{
	struct list all = involved(m);
	int p = m->moving;

	inherit(m);
	states_arrive(m, o);
	for (u32 i = 0; i < count_objects(&model_defs[p]); i++)
		if (m->patch[p].pre[i])
			object_post(m, o, p, i);
	for (u32 n = all.n; n-- > 0;)
		for (u32 i = count_states(&model_defs[all.p[n]]); i-- > 0;)
			if (!has(&m->to, all.p[n]) &&
			    m->state[model_defs[all.p[n]].states[i].id].owner == all.p[n])
				state_out(m, o, all.p[n], i);
	for (u32 n = 0; n < all.n; n++) {
		int gone = all.p[n];

		if (has(&m->to, gone))
			continue;
		for (u32 i = 0; i < count_objects(&model_defs[gone]); i++)
			if (m->patch[gone].pre[i] && !m->patch[gone].post[i])
				object_out(m, o, gone, i);
		m->patch[p].nr_replaced += m->patch[gone].replaced_by != p;
		m->patch[gone].replaced_by = p;
		let_go(m, gone);
	}
}

static void end_down(struct model *m, struct outcome *o)
{
	int p = m->moving;

	for (u32 i = 0; i < count_objects(&model_defs[p]); i++)
		if (m->patch[p].pre[i])
			object_out(m, o, p, i);
	inherit(m);
	for (u32 i = count_states(&model_defs[p]); i-- > 0;)
		if (m->state[model_defs[p].states[i].id].owner == p)
			state_out(m, o, p, i);
	states_arrive(m, o);
	for (u32 n = 0; m->rollback && n < m->to.n; n++) {
		int back = m->to.p[n];

		if (has(&m->from, back))
			continue;
		for (u32 i = 0; i < count_objects(&model_defs[back]); i++)
			if (m->patch[back].pre[i] && !m->patch[back].post[i])
				object_post(m, o, back, i);
		m->patch[back].replaced_by = NOBODY;
	}
	let_go(m, p);
}

static void end(struct model *m, struct outcome *o)
{
	if (m->up)
		end_up(m, o);
	else
		end_down(m, o);
	m->on = m->to;
	m->moving = NOBODY;
}

/* ---- events ---- */

static void unload(struct model *m, int p)
{
	struct model_patch *x = &m->patch[p];

	x->loaded = x->held = x->known = x->enabled = false;
	for (u32 i = 0; i < MODEL_OBJECTS; i++)
		x->pre[i] = x->post[i] = false;
}

/* Would a state leave that must not? */
static bool blocked(int p, const struct list *others)
{
	for (u32 i = 0; i < count_states(&model_defs[p]); i++)
		if (model_defs[p].states[i].block_disable &&
		    !any_has(others, (u32)model_defs[p].states[i].id))
			return true;
	return false;
}

static void load(struct model *m, int p, bool init_fails, struct outcome *o)
{
	struct list to = m->on, only = {.n = 1, .p = {p}};
	bool good;

	if (m->moving != NOBODY) {
		o->result = -EBUSY;
		o->same = true;
		return;
	}
	for (int q = 0; q < MODEL_PATCHES; q++)
		if (m->patch[q].replaced_by == p)
			m->patch[q].replaced_by = NOBODY;
	m->patch[p] = (struct model_patch){.replaced_by = NOBODY};
	if (model_defs[p].replace) {
		for (u32 i = 0; i < m->on.n; i++) {
			if (!blocked(m->on.p[i], &only))
				continue;
			o->result = -EINVAL;
			return;
		}
		to = only;
	} else {
		append(&to, p);
	}
	m->patch[p].loaded = m->patch[p].held = m->patch[p].known = m->patch[p].enabled = true;
	begin(m, p, true, to);
	good = states_in(m, o, p) && objects_in(m, o, p);
	if (good)
		states_leave(m, o);
	if (good && !init_fails)
		return;
	o->result = good ? -ENOMEM : -ENODEV;
	m->up = false;
	m->to = m->from;
	end(m, o);
	unload(m, p);
}

static void reverse(struct model *m)
{
	struct list to = m->from;

	m->from = m->to;
	m->to = to;
	m->up = !m->up;
	m->patch[m->moving].enabled = m->up;
	if (!m->rollback)
		return;
	for (int p = 0; p < MODEL_PATCHES; p++)
		if (p != m->moving && has(&m->to, p) != has(&m->from, p))
			m->patch[p].enabled = has(&m->to, p);
}

static void set(struct model *m, int p, bool value, struct outcome *o)
{
	struct list all = involved(m), others = without(&all, p);

	if (!has(&all, p) || m->patch[p].orphan)
		o->result = -ENOENT;
	else if (m->patch[p].enabled == value)
		o->result = -EINVAL;
	else if (m->moving == p)
		reverse(m);
	else if (value)
		o->result = -EINVAL;
	else if (m->moving != NOBODY)
		o->result = -EBUSY;
	else if (blocked(p, &others))
		o->result = -EINVAL;
	else {
		begin(m, p, false, without(&m->on, p));
		pre_unpatch(m, o, p);
	}
	o->same = o->result;
}

static void force(struct model *m, int p, struct outcome *o)
{
	struct list all = involved(m);

	if (!has(&all, p) || m->patch[p].orphan)
		o->result = -ENOENT;
	else if (m->moving != p)
		o->result = -EINVAL;
	o->same = o->result;
	for (u32 i = 0; !o->result && i < all.n; i++)
		if (!has(&m->to, all.p[i]))
			m->patch[all.p[i]].forced = true;
}

/* What the patch had replaced, oldest first: in the order in which they came. */
static struct list replaced(const struct model *m, int p, const u32 *order)
{
	struct list l = {0};
	u32 i;

	for (int q = 0; q < MODEL_PATCHES; q++) {
		if (m->patch[q].replaced_by != p)
			continue;
		append(&l, q);
		for (i = l.n - 1; i > 0 && order[l.p[i - 1]] > order[q]; i--)
			l.p[i] = l.p[i - 1];
		l.p[i] = q;
	}
	return l;
}

static s32 may_roll_back(const struct model *m, int p, const struct list *back)
{
	struct list others = without(&m->on, p);

	if (!m->patch[p].known)
		return -ENOENT;
	if (m->patch[p].orphan || !has(&m->on, p) || m->moving != NOBODY)
		return -EBUSY;
	if (!m->patch[p].nr_replaced)
		return -EINVAL;
	for (u32 i = 0; i < back->n; i++) {
		if (m->patch[back->p[i]].forced)
			return -EBUSY;
		if (!m->patch[back->p[i]].known)
			return -ENODEV;
		append(&others, back->p[i]);
	}
	if (back->n != m->patch[p].nr_replaced)
		return -ENODEV;
	return blocked(p, &others) ? -EINVAL : 0;
}

static void roll_back(struct model *m, int p, struct outcome *o, const u32 *order)
{
	struct list back = replaced(m, p, order), to = {0};
	bool good = true;
	u32 i, j;

	o->result = may_roll_back(m, p, &back);
	o->same = o->result;
	if (o->result)
		return;
	for (i = 0; i < m->on.n; i++) {
		if (m->on.p[i] != p)
			append(&to, m->on.p[i]);
		for (j = 0; m->on.p[i] == p && j < back.n; j++)
			append(&to, back.p[j]);
	}
	begin(m, p, false, to);
	m->rollback = true;
	for (i = 0; good && i < back.n; i++)
		good = states_in(m, o, back.p[i]);
	for (i = 0; good && i < back.n; i++)
		good = objects_in(m, o, back.p[i]);
	if (good) {
		for (i = 0; i < back.n; i++)
			m->patch[back.p[i]].enabled = m->patch[back.p[i]].held = true;
		pre_unpatch(m, o, p);
		return;
	}
	for (i = 0; i < back.n; i++)
		for (j = 0; j < count_objects(&model_defs[back.p[i]]); j++)
			if (m->patch[back.p[i]].pre[j] && !m->patch[back.p[i]].post[j])
				object_out(m, o, back.p[i], j);
	for (i = back.n; i-- > 0;)
		for (j = count_states(&model_defs[back.p[i]]); j-- > 0;)
			if (m->state[model_defs[back.p[i]].states[j].id].owner == back.p[i])
				state_out(m, o, back.p[i], j);
	m->moving = NOBODY;
}

static int module_object(int p)
{
	for (u32 i = 0; i < count_objects(&model_defs[p]); i++)
		if (!strcmp(model_defs[p].objects[i].name, "m"))
			return (int)i;
	return NOBODY;
}

static void module_goes(struct model *m, struct outcome *o)
{
	struct list all = involved(m);

	for (u32 n = 0; n < all.n; n++) {
		int p = all.p[n], i = module_object(p);

		if (i == NOBODY)
			continue;
		if (m->patch[p].post[i])
			call(m, o, p, false, (u32)i, SUTURE_CB_PRE_UNPATCH);
		if (m->patch[p].pre[i])
			object_out(m, o, p, (u32)i);
		m->patch[p].post[i] = false;
	}
	/* replaced patches: no callback runs, and the next module has seen none */
	for (int p = 0; p < MODEL_PATCHES; p++)
		if (module_object(p) != NOBODY && !has(&all, p))
			m->patch[p].pre[module_object(p)] = m->patch[p].post[module_object(p)] =
				false;
	m->module = false;
}

static void module_comes(struct model *m, struct outcome *o)
{
	struct list all = involved(m);

	m->module = true;
	for (u32 n = 0; n < all.n; n++) {
		int p = all.p[n], i = module_object(p);

		if (i == NOBODY || m->patch[p].orphan)
			continue;
		if (!object_in(m, o, p, (u32)i)) {
			o->result = -ENODEV;
			module_goes(m, o);
			return;
		}
		if (p != m->moving && has(&m->on, p))
			object_post(m, o, p, (u32)i);
	}
}

/* The agent dies; another one comes, which knows nothing. */
static void vanish(struct model *m)
{
	for (int p = 0; p < MODEL_PATCHES; p++) {
		struct model_patch *x = &m->patch[p];

		x->orphan = has(&m->on, p);
		x->enabled = x->known = x->orphan;
		x->nr_replaced = 0;
		x->replaced_by = NOBODY;
	}
	for (u32 id = 0; id < MODEL_STATES; id++) {
		if (m->state[id].owner != NOBODY && !has(&m->on, m->state[id].owner))
			m->state[id].owner = NOBODY;
		m->state[id].shadows = false;
	}
	m->moving = NOBODY;
}

static bool makes_sense(const struct model *m, const struct event *e)
{
	const struct model_patch *x = e->patch == NOBODY ? NULL : &m->patch[e->patch];

	switch (e->what) {
	case LOAD:
	case LOAD_INIT_FAILS:
		return !x->loaded;
	case RMMOD:
		return x->loaded && !x->held;
	case REVERT_ORPHAN:
		return x->orphan && has(&m->on, e->patch);
	case MODULE_COMES:
		return !m->module;
	case MODULE_GOES:
		return m->module;
	case SWITCH:
		return m->moving != NOBODY;
	default:
		return true;
	}
}

static void revert_orphan(struct model *m, int p, struct outcome *o)
{
	struct list others = without(&m->on, p);

	o->result = m->moving != NOBODY ? -EBUSY : blocked(p, &others) ? -EINVAL : 0;
	o->same = o->result;
	if (o->result)
		return;
	begin(m, p, false, others);
	pre_unpatch(m, o, p);
	end(m, o);
}

static void end_transition(struct model *m, struct outcome *o)
{
	bool gone = m->rollback && !m->up;
	int p = m->moving;

	end(m, o);
	if (gone && !m->patch[p].forced)
		unload(m, p); /* that is what the operator has asked for */
}

bool model_apply(struct model *m, const struct event *e, struct outcome *o)
{
	o->result = 0;
	o->same = o->refused = false;
	o->nr_trace = 0;
	now = e;
	if (!makes_sense(m, e))
		return false;
	switch (e->what) {
	case LOAD:
	case LOAD_INIT_FAILS:
		if (m->moving == NOBODY)
			m->came[e->patch] = ++m->last;
		load(m, e->patch, e->what == LOAD_INIT_FAILS, o);
		if (e->what == LOAD_INIT_FAILS && o->result != -ENOMEM)
			return false;
		break;
	case DISABLE:
	case ENABLE:
		set(m, e->patch, e->what == ENABLE, o);
		break;
	case FORCE:
		force(m, e->patch, o);
		break;
	case ROLLBACK:
		roll_back(m, e->patch, o, m->came);
		break;
	case REVERT_ORPHAN:
		revert_orphan(m, e->patch, o);
		break;
	case RMMOD:
		unload(m, e->patch);
		break;
	case MODULE_COMES:
		module_comes(m, o);
		break;
	case MODULE_GOES:
		module_goes(m, o);
		break;
	case SWITCH:
		end_transition(m, o);
		break;
	case VANISH:
		vanish(m);
		break;
	default:
		return false;
	}
	return e->refuses == NOBODY || o->refused;
}

int model_runs(const struct model *m, const char *object, const char *name, u32 *func)
{
	int found = NOBODY;

	for (u32 n = 0; n < m->on.n; n++) {
		const struct def *d = &model_defs[m->on.p[n]];

		for (u32 i = 0; i < count_funcs(d); i++) {
			if (strcmp(d->funcs[i].name, name) != 0)
				continue;
			/* a module that came to a patch without an agent runs its own code */
			if (strcmp(object, "vmlinux") != 0 &&
			    !m->patch[m->on.p[n]].pre[d->funcs[i].object])
				continue;
			found = m->on.p[n];
			*func = i;
		}
	}
	return found;
}

void model_start(struct model *m)
{
	*m = (struct model){.moving = NOBODY};
	for (int p = 0; p < MODEL_PATCHES; p++)
		m->patch[p].replaced_by = NOBODY;
	for (u32 id = 0; id < MODEL_STATES; id++)
		m->state[id].owner = NOBODY;
}
