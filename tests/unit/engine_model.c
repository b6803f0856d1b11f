/* SPDX-License-Identifier: BSD-2-Clause */
#include "engine_model_moves.h"

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
	struct list to = m->on, only = {.n = 1, .p = {p}}, all = involved(m);
	bool good, refused = false;

	/* Linux looks at this before it looks whether there is a transition */
	for (u32 i = 0; model_defs[p].replace && i < all.n; i++)
		refused |= blocked(all.p[i], &only);
	if (m->moving != NOBODY && !refused) {
		o->result = -EBUSY;
		o->same = true;
		return;
	}
	for (int q = 0; q < MODEL_PATCHES; q++)
		if (m->patch[q].replaced_by == p)
			m->patch[q].replaced_by = NOBODY;
	m->patch[p] = (struct model_patch){.replaced_by = NOBODY};
	if (refused) {
		o->result = -EINVAL;
		return;
	}
	if (model_defs[p].replace) {
		to = only;
	} else {
		list_append(&to, p);
	}
	m->patch[p].loaded = m->patch[p].held = m->patch[p].known = m->patch[p].enabled = true;
	begin_move(m, p, true, to);
	good = states_in(m, o, p) && objects_in(m, o, p);
	if (good)
		states_leave(m, o);
	if (good && !init_fails)
		return;
	o->result = good ? -ENOMEM : -ENODEV;
	m->up = false;
	m->to = m->from;
	end_move(m, o);
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
		if (p != m->moving && list_has(&m->to, p) != list_has(&m->from, p))
			m->patch[p].enabled = list_has(&m->to, p);
}

static void set(struct model *m, int p, bool value, struct outcome *o)
{
	struct list all = involved(m), others = list_without(&all, p);

	if (!list_has(&all, p) || m->patch[p].orphan)
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
		begin_move(m, p, false, list_without(&m->on, p));
		pre_unpatch(m, o, p);
	}
	o->same = o->result;
}

static void force(struct model *m, int p, struct outcome *o)
{
	struct list all = involved(m);

	if (!list_has(&all, p) || m->patch[p].orphan)
		o->result = -ENOENT;
	else if (m->moving != p)
		o->result = -EINVAL;
	o->same = o->result;
	for (u32 i = 0; !o->result && i < all.n; i++)
		if (!list_has(&m->to, all.p[i]))
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
		list_append(&l, q);
		for (i = l.n - 1; i > 0 && order[l.p[i - 1]] > order[q]; i--)
			l.p[i] = l.p[i - 1];
		l.p[i] = q;
	}
	return l;
}

static s32 may_roll_back(const struct model *m, int p, const struct list *back)
{
	struct list others = list_without(&m->on, p);

	if (!m->patch[p].known)
		return -ENOENT;
	if (m->patch[p].orphan || !list_has(&m->on, p) || m->moving != NOBODY)
		return -EBUSY;
	if (!m->patch[p].nr_replaced)
		return -EINVAL;
	for (u32 i = 0; i < back->n; i++) {
		if (m->patch[back->p[i]].forced)
			return -EBUSY;
		if (!m->patch[back->p[i]].known)
			return -ENODEV;
		list_append(&others, back->p[i]);
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
			list_append(&to, m->on.p[i]);
		for (j = 0; m->on.p[i] == p && j < back.n; j++)
			list_append(&to, back.p[j]);
	}
	begin_move(m, p, false, to);
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
			call_back(m, o, p, false, (u32)i, SUTURE_CB_PRE_UNPATCH);
		if (m->patch[p].pre[i])
			object_out(m, o, p, (u32)i);
		m->patch[p].post[i] = false;
	}
	/* replaced patches: no callback runs, and the next module has seen none */
	for (int p = 0; p < MODEL_PATCHES; p++)
		if (module_object(p) != NOBODY && !list_has(&all, p))
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
		if (p != m->moving && list_has(&m->on, p))
			object_post(m, o, p, (u32)i);
	}
}

/* The agent dies; another one comes, which knows nothing. */
static void vanish(struct model *m)
{
	for (int p = 0; p < MODEL_PATCHES; p++) {
		struct model_patch *x = &m->patch[p];

		x->orphan = list_has(&m->on, p);
		x->enabled = x->known = x->orphan;
		x->nr_replaced = 0;
		x->replaced_by = NOBODY;
	}
	for (u32 id = 0; id < MODEL_STATES; id++) {
		if (m->state[id].owner != NOBODY && !list_has(&m->on, m->state[id].owner))
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
		return x->orphan && list_has(&m->on, e->patch);
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
	struct list others = list_without(&m->on, p);

	o->result = m->moving != NOBODY ? -EBUSY : blocked(p, &others) ? -EINVAL : 0;
	o->same = o->result;
	if (o->result)
		return;
	begin_move(m, p, false, others);
	pre_unpatch(m, o, p);
	end_move(m, o);
}

static void end_transition(struct model *m, struct outcome *o)
{
	bool gone = m->rollback && !m->up;
	int p = m->moving;

	end_move(m, o);
	if (gone && !m->patch[p].forced)
		unload(m, p); /* that is what the operator has asked for */
}

bool model_apply(struct model *m, const struct event *e, struct outcome *o)
{
	o->result = 0;
	o->same = o->refused = false;
	o->nr_trace = 0;
	model_event(e);
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
