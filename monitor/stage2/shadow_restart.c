/* SPDX-License-Identifier: BSD-2-Clause */
/* What the service CPU needs of the redirects in force when it begins anew. */
#include "core/pool.h"
#include "stage2/shadow.h"
#include "stage2/shadow_set.h"

u64 shadow_serial(void)
{
	return shadow.current->serial;
}

u64 shadow_target(u64 key)
{
	set_for_each_in (shadow.current, BY_KEY, i, key, key + 1) {
		const struct shadow_entry *e = entry_at(shadow.current, BY_KEY, i);

		if (!READ_ONCE(e->dead))
			return e->r.to;
	}
	return 0;
}

static int claim_vec(const struct vec *v)
{
	return v->items ? pool_claim(v->items, v->pages) : 0;
}

static int claim_copy(struct shadow_page *pg)
{
	pg->stale = NULL;
	if (!READ_ONCE(pg->live))
		pg->copy = NULL;
	return pg->copy ? pool_claim(pg->copy, shadow_page_size() / PAGE_SIZE) : 0;
}

int shadow_restart(void)
{
	struct shadow_set *s = shadow.current, *other = &shadow.sets[s == &shadow.sets[0]];
	int err = claim_vec(&s->entries);

	shadow_plan_forget();
	*other = (struct shadow_set){0};
	if (!err)
		err = claim_vec(&s->pages);
	for (u32 o = 0; !err && o < NR_ORDERS; o++)
		err = claim_vec(&s->orders[o]);
	set_for_each_page (s, pg)
		if (!err)
			err = claim_copy(pg);
	return err;
}
