/* SPDX-License-Identifier: BSD-2-Clause */
/* Shadow variables, as the agent has counted them: shown to operators; no decision depends on them.
 */
#include "lib/errno.h"
#include "lib/string.h"
#include "patch/engine/types.h"

/* The largest signed number, which every reader of JSON accepts. */
static bool add_bounded(s64 *sum, u64 n)
{
	return !__builtin_add_overflow(*sum, n, sum);
}

int engine_shadow(struct engine *e, const struct suture_shadow *m)
{
	const struct suture_shadow_id *ids = (const void *)(m + 1);
	s64 count = 0, bytes = 0;

	engine_hear(e);
	if (m->nr_ids > SUTURE_MAX_SHADOW_IDS ||
	    m->msg.size != sizeof(*m) + m->nr_ids * sizeof(*ids))
		return -EMSGSIZE;
	if (!add_bounded(&count, m->more_count) || !add_bounded(&bytes, m->more_bytes))
		return -EINVAL;
	for (u32 i = 0; i < m->nr_ids; i++)
		if (!ids[i].count || (i && ids[i].id <= ids[i - 1].id) ||
		    !add_bounded(&count, ids[i].count) || !add_bounded(&bytes, ids[i].bytes))
			return -EINVAL;
	e->variables.total = (struct shadow_total){
		.known = true,
		.when_us = e->ops.now_us(e->ops.ctx),
		.count = (u64)count,
		.bytes = (u64)bytes,
		.more_count = m->more_count,
		.more_bytes = m->more_bytes,
		.nr_ids = m->nr_ids,
	};
	memcpy(e->variables.ids, ids, m->nr_ids * sizeof(*ids));
	return 0;
}

void engine_forget_shadow(struct engine *e)
{
	e->variables.total = (struct shadow_total){0};
}

void engine_shadow_total(const struct engine *e, struct shadow_total *total)
{
	*total = e->variables.total;
}

int engine_shadow_id(const struct engine *e, u32 i, struct shadow_id *info)
{
	const struct suture_shadow_id *id = &e->variables.ids[i];
	const struct patch *owner;
	struct state *st = NULL;

	if (i >= e->variables.total.nr_ids)
		return -ENOENT;
	owner = state_owner(e, id->id, &st);
	*info = (struct shadow_id){
		.id = id->id,
		.count = id->count,
		.bytes = id->bytes,
		.is_shadow = st && st->shadows,
	};
	str_copy(info->patch, owner ? owner->name : "", sizeof(info->patch));
	return 0;
}
