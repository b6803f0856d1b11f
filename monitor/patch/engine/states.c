/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * States (document 002): which patches have them, and which patch owns them when the transition is
 * done.
 *
 * Of all enabled patches that have the same state exactly one owns it: its pre_patched is set.
 */
#include "lib/mutate.h"
#include "patch/engine/types.h"

struct state *patch_state(struct patch *p, u64 id)
{
	u32 i;

	for (i = 0; i < p->nr_states; i++)
		if (p->states[i].id == id)
			return &p->states[i];
	return NULL;
}

struct state *engine_nth_state(struct engine *e, u32 n, struct patch **owner)
{
	struct patch *p;

	for (p = e->patches; p; p = p->next) {
		if (!p->installed)
			continue;
		if (n < p->nr_states) {
			*owner = p;
			return &p->states[n];
		}
		n -= p->nr_states;
	}
	*owner = NULL;
	return NULL;
}

u32 engine_count_states(struct engine *e)
{
	struct patch *p;
	u32 n = 0;

	for (p = e->patches; p; p = p->next)
		if (p->installed)
			n += p->nr_states;
	return n;
}

bool patch_stays(const struct engine *e, const struct patch *p)
{
	if (p == e->transition)
		return e->target_on;
	return !(e->target_on && e->transition->replace && patch_is_older(p, e->transition));
}

/* The newest patch with the state among those that stay; NULL: the state leaves. */
static struct patch *state_heir(const struct engine *e, u64 id)
{
	struct patch *p, *found = NULL;

	for (p = e->patches; p; p = p->next)
		if (p->installed && patch_stays(e, p) && patch_state(p, id))
			found = p;
	return found;
}

struct patch *state_owner(const struct engine *e, u64 id, struct state **st)
{
	for (struct patch *p = e->patches; p; p = p->next) {
		struct state *mine = p->installed ? patch_state(p, id) : NULL;

		if (!mine || !mine->pre_patched)
			continue;
		if (st)
			*st = mine;
		return p;
	}
	return NULL;
}

bool state_join(const struct engine *e, const struct state *st)
{
	struct state *owned;
	const struct patch *owner = state_owner(e, st->id, &owned);

	if (!owner)
		return false;
	owned->shadows |= st->is_shadow && !owner->orphan; /* an orphan runs no destructor */
	return true;
}

struct state *state_leaves(struct engine *e, u32 *n, struct patch **owner)
{
	while (*n > 0) {
		struct state *st = engine_nth_state(e, --*n, owner);

		if (!st->post_patched || patch_stays(e, *owner) || state_heir(e, st->id))
			continue;
		st->post_patched = false;
		return st;
	}
	return NULL;
}

struct state *state_arrives(struct engine *e, u32 *n, struct patch **owner)
{
	struct state *st;

	while ((st = engine_nth_state(e, (*n)++, owner))) {
		if (!st->pre_patched || st->post_patched || !patch_stays(e, *owner))
			continue;
		st->post_patched = true;
		return st;
	}
	return NULL;
}

/* Hand the states of patches that leave to those that stay. No callback runs for these. */
void states_inherit(struct engine *e)
{
	struct patch *p, *to;
	struct state *st, *mine;
	u32 n;

	for (n = 0; (st = engine_nth_state(e, n, &p)); n++) {
		if (!st->pre_patched || patch_stays(e, p))
			continue;
		to = state_heir(e, st->id);
		if (!to || MUTATION(state_inherited))
			continue;
		mine = patch_state(to, st->id);
		mine->pre_patched = st->pre_patched;
		mine->post_patched = st->post_patched;
		mine->shadows = st->shadows || mine->is_shadow;
		st->pre_patched = st->post_patched = false;
	}
}

void states_pass_on(struct engine *e, struct patch *p)
{
	struct state *st, *to;
	struct patch *q;
	u32 i;

	for (i = 0; i < p->nr_states; i++) {
		st = &p->states[i];
		for (q = e->patches, to = NULL; st->pre_patched && q; q = q->next)
			if (q != p && q->installed && patch_state(q, st->id))
				to = patch_state(q, st->id);
		if (!to)
			continue;
		to->pre_patched = true;
		to->post_patched = st->post_patched;
		to->shadows = st->shadows || to->is_shadow;
	}
}

u32 patch_state_index(const struct patch *p, const struct state *st)
{
	return (u32)(st - p->states);
}

u64 engine_blocked_state(struct engine *e, struct patch *p)
{
	struct patch *q;
	u32 i;

	for (i = 0; i < p->nr_states; i++) {
		if (!p->states[i].block_disable || MUTATION(block_disable))
			continue;
		for (q = e->patches; q; q = q->next)
			if (q != p && q->installed && patch_state(q, p->states[i].id))
				break;
		if (!q)
			return p->states[i].id;
	}
	return 0;
}
