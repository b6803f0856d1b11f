/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Is what is on in force? Once a second the bytes that a CPU would fetch are read back at each
 * function that is redirected, a few functions at a time. What differs is looked at once more
 * before it is said: a drop that the engine has not been told of yet, or a guest that is changing
 * its tables.
 */
#include "patch/engine_types.h"
#include "core/errno.h"
#include "core/lib/string.h"
#include "core/log.h"
#include "core/mutate.h"

#define ROUND_US 1000000 /* from one round to the next */
#define AGAIN_US 100000	 /* with doubts */
#define BATCH	 32u	 /* functions at a time: the guest and the network wait */
#define BATCH_US 5000	 /* from one to the next: 512 functions take 80 ms */

void engine_look_anew(struct engine *e)
{
	e->look.due_us = 0;
	e->look.next = 0;
}

static bool is_on(const struct engine *e)
{
	const struct patch *p;
	u32 i;

	for (p = e->patches; p; p = p->next)
		for (i = 0; p->installed && i < p->nr_funcs; i++)
			if (p->funcs[i].on)
				return true;
	return false;
}

/* The n-th function of all patches together, and its patch; NULL: there are fewer. */
static struct func *nth_func(struct engine *e, u32 n, struct patch **owner)
{
	struct patch *p;

	for (p = e->patches; p; n -= p->nr_funcs, p = p->next) {
		if (n >= p->nr_funcs)
			continue;
		*owner = p;
		return &p->funcs[n];
	}
	return NULL;
}

static void found(const struct patch *p, struct func *f)
{
	if (f->lost[0])
		log_limited(LOG_PATCH, LOG_INFO, "patch '%s': %s is in force again", p->name,
			    f->name);
	func_found(f);
}

/* The first time is a doubt. Returns whether it is one. */
static bool missed(const struct patch *p, struct func *f, const char *why)
{
	bool first = !f->lost[0];

	if (first && !f->doubted && !MUTATION(second_look))
		return f->doubted = true;
	f->doubted = false;
	str_copy(f->lost, why, sizeof(f->lost));
	if (first)
		log_limited(LOG_PATCH, LOG_WARN, "patch '%s': %s is not in force: %s", p->name,
			    f->name, why);
	return false;
}

/* Returns whether it is to be looked at again soon. */
static bool look_at(struct engine *e, const struct patch *p, struct func *f)
{
	const struct patch *owner;
	char why[SUTURE_TEXT_LEN];
	int err;

	/* what a newer patch covers is not there, and is not missed */
	if (!p->installed || !f->on ||
	    (engine_active(e, f->old_addr, &owner) != f && !MUTATION(newest_looked_at))) {
		func_found(f);
		return false;
	}
	err = e->ops.look(e->ops.ctx, f->old_addr, f->new_addr, why, sizeof(why));
	if (err == -EAGAIN)
		return true;
	if (err)
		return missed(p, f, why);
	found(p, f);
	return false;
}

static void end_round(struct engine *e, u64 now)
{
	e->look.next = 0;
	e->look.due_us = e->look.again ? now + AGAIN_US : e->look.round_us + ROUND_US;
}

static void look_at_some(struct engine *e, u64 now)
{
	struct patch *p;
	struct func *f;
	u32 i;

	if (!e->look.next) {
		e->look.round_us = now;
		e->look.again = false;
	}
	e->look.due_us = now + BATCH_US;
	for (i = 0; i < BATCH; i++) {
		f = nth_func(e, e->look.next, &p);
		if (!f) {
			end_round(e, now);
			return;
		}
		e->look.next++;
		e->look.again |= look_at(e, p, f);
	}
}

u64 engine_look(struct engine *e, u64 now)
{
	if (!e->ops.look || !is_on(e))
		return UINT64_MAX;
	if (now >= e->look.due_us)
		look_at_some(e, now);
	return e->look.due_us;
}
