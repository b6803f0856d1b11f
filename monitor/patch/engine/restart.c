/* SPDX-License-Identifier: BSD-2-Clause */
/* The engine after the service CPU has begun anew, with the state of its last checkpoint. */
#include "core/log.h"
#include "lib/errno.h"
#include "patch/engine/types.h"

/* Make the transition go back: those on whose behalf it goes on have failed with it. */
static void turn_around(struct engine *e, struct patch *p)
{
	if (p->todo != TODO_NOTHING || !e->target_on || p->phase != PHASE_PATCHING)
		return;
	patch_blame(p, -EIO,
		    "the monitor's service CPU failed again and again while it was switched");
	p->unload = p->from_bundle;
	p->todo = TODO_REVERSE;
}

void engine_restarted(struct engine *e, bool suspicious)
{
	if (!e->transition)
		return;
	/* A switch that was made is asked for at once, before anybody can ask for another. */
	e->next_attempt_us = 0;
	e->watch_due_us = 0;
	if (suspicious)
		turn_around(e, e->transition);
}

static u64 find_dropped(const struct engine *e, u64 (*target)(u64 key))
{
	const struct patch *p;
	u32 i;

	for (p = e->patches; p; p = p->next)
		for (i = 0; p->installed && i < p->nr_funcs; i++)
			if (p->funcs[i].on && !target(p->funcs[i].old_addr))
				return p->funcs[i].old_addr;
	return 0;
}

void engine_compare(struct engine *e, u64 (*target)(u64 key))
{
	u64 key;

	/* All are dropped, and are put back or forgotten. */
	if (e->ended)
		return;
	while ((key = find_dropped(e, target)) != 0)
		engine_dropped(e, key);
}
