/* SPDX-License-Identifier: BSD-2-Clause */
#include "engine_model_moves.h"

/* ---- lists ---- */

bool list_has(const struct list *l, int p)
{
	for (u32 i = 0; i < l->n; i++)
		if (l->p[i] == p)
			return true;
	return false;
}

void list_append(struct list *l, int p)
{
	l->p[l->n++] = p;
}

struct list list_without(const struct list *l, int p)
{
	struct list r = {0};

	for (u32 i = 0; i < l->n; i++)
		if (l->p[i] != p)
			list_append(&r, l->p[i]);
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

bool any_has(const struct list *l, u32 id)
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
struct list involved(const struct model *m)
{
	struct list all = m->on;
	const struct list *back;

	if (m->moving == NOBODY)
		return all;
	if (!m->rollback) {
		if (!list_has(&all, m->moving))
			list_append(&all, m->moving);
		return all;
	}
	/* those that come back stand right below the one that had replaced them */
	back = m->up ? &m->from : &m->to;
	all.n = 0;
	for (u32 i = 0; i < m->on.n; i++) {
		for (u32 j = 0; m->on.p[i] == m->moving && j < back->n; j++)
			if (!list_has(&m->on, back->p[j]))
				list_append(&all, back->p[j]);
		list_append(&all, m->on.p[i]);
	}
	return all;
}

/* ---- callbacks ---- */

static const struct event *now;

void model_event(const struct event *e)
{
	now = e;
}

/* Returns whether it refuses. */
bool call_back(const struct model *m, struct outcome *o, int p, bool is_state, u32 index,
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

bool object_in(struct model *m, struct outcome *o, int p, u32 i)
{
	if (call_back(m, o, p, false, i, SUTURE_CB_PRE_PATCH))
		return false;
	m->patch[p].pre[i] = true;
	return true;
}

void object_out(struct model *m, struct outcome *o, int p, u32 i)
{
	m->patch[p].pre[i] = m->patch[p].post[i] = false;
	call_back(m, o, p, false, i, SUTURE_CB_POST_UNPATCH);
}

void object_post(struct model *m, struct outcome *o, int p, u32 i)
{
	m->patch[p].post[i] = true;
	call_back(m, o, p, false, i, SUTURE_CB_POST_PATCH);
}

void state_out(struct model *m, struct outcome *o, int p, u32 i)
{
	u32 id = (u32)model_defs[p].states[i].id;

	m->state[id].owner = NOBODY;
	m->state[id].post = false;
	call_back(m, o, p, true, i, SUTURE_CB_POST_UNPATCH);
	if (m->state[id].shadows)
		call_back(m, o, p, true, i, SUTURE_CB_SHADOW_DTOR);
}

static void state_post(struct model *m, struct outcome *o, int p, u32 i)
{
	m->state[model_defs[p].states[i].id].post = true;
	call_back(m, o, p, true, i, SUTURE_CB_POST_PATCH);
}

/* States that p introduces, being one that comes. False: one refuses. */
bool states_in(struct model *m, struct outcome *o, int p)
{
	for (u32 i = 0; i < count_states(&model_defs[p]); i++) {
		u32 id = (u32)model_defs[p].states[i].id;

		if (m->state[id].owner == NOBODY) {
			if (call_back(m, o, p, true, i, SUTURE_CB_PRE_PATCH))
				return false;
			m->state[id].owner = p;
			m->state[id].shadows = false;
		}
		m->state[id].shadows |=
			model_defs[p].states[i].is_shadow && !m->patch[m->state[id].owner].orphan;
	}
	return true;
}

bool objects_in(struct model *m, struct outcome *o, int p)
{
	for (u32 i = 0; i < count_objects(&model_defs[p]); i++)
		if (is_there(m, p, i) && !m->patch[p].pre[i] && !object_in(m, o, p, i))
			return false;
	return true;
}

/* The states that no patch in `to` has: newest patch first, last state first. */
void states_leave(struct model *m, struct outcome *o)
{
	struct list all = involved(m);

	for (u32 n = all.n; n-- > 0;) {
		for (u32 i = count_states(&model_defs[all.p[n]]); i-- > 0;) {
			u32 id = (u32)model_defs[all.p[n]].states[i].id;

			if (m->state[id].owner != all.p[n] || !m->state[id].post ||
			    any_has(&m->to, id))
				continue;
			m->state[id].post = false;
			call_back(m, o, all.p[n], true, i, SUTURE_CB_PRE_UNPATCH);
		}
	}
}

/* Those that stay take over what those that go had. */
static void inherit(struct model *m)
{
	for (u32 id = 0; id < MODEL_STATES; id++) {
		int heir = newest_with(&m->to, id);

		if (m->state[id].owner == NOBODY || list_has(&m->to, m->state[id].owner) ||
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

void begin_move(struct model *m, int p, bool up, struct list to)
{
	m->moving = p;
	m->up = up;
	m->from = m->on;
	m->to = to;
	m->rollback = false;
}

void pre_unpatch(struct model *m, struct outcome *o, int p)
{
	for (u32 i = 0; i < count_objects(&model_defs[p]); i++) {
		if (!m->patch[p].post[i])
			continue;
		m->patch[p].post[i] = false;
		call_back(m, o, p, false, i, SUTURE_CB_PRE_UNPATCH);
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
			if (!list_has(&m->to, all.p[n]) &&
			    m->state[model_defs[all.p[n]].states[i].id].owner == all.p[n])
				state_out(m, o, all.p[n], i);
	for (u32 n = 0; n < all.n; n++) {
		int gone = all.p[n];

		if (list_has(&m->to, gone))
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

		if (list_has(&m->from, back))
			continue;
		for (u32 i = 0; i < count_objects(&model_defs[back]); i++)
			if (m->patch[back].pre[i] && !m->patch[back].post[i])
				object_post(m, o, back, i);
		m->patch[back].replaced_by = NOBODY;
	}
	let_go(m, p);
}

void end_move(struct model *m, struct outcome *o)
{
	if (m->up)
		end_up(m, o);
	else
		end_down(m, o);
	m->on = m->to;
	m->moving = NOBODY;
}
