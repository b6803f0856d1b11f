/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Are the redirects in force? Once a second the engine has the bytes read back that a CPU would
 * fetch at each redirected function, a few functions at a time. A difference is checked once more
 * before it is reported: the engine may not have been told of a drop yet, or the guest may be
 * changing its tables.
 */
#include "core/log.h"
#include "lib/errno.h"
#include "lib/mutate.h"
#include "lib/string.h"
#include "patch/engine/types.h"

#define ROUND_US 1000000 /* from one round to the next */
#define AGAIN_US 100000	 /* after a first difference */
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

static void func_verified(const struct patch *p, struct func *f)
{
	if (f->lost[0])
		log_limited(LOG_PATCH, LOG_INFO, "patch '%s': %s is in force again", p->name,
			    f->name);
	func_found(f);
}

/* The first difference is only noted: 1. */
static int func_missed(const struct patch *p, struct func *f, const char *why)
{
	bool first = !f->lost[0];

	if (first && !f->doubted && !MUTATION(second_look))
		return f->doubted = true;
	f->doubted = false;
	str_copy(f->lost, why, sizeof(f->lost));
	if (first)
		log_limited(LOG_PATCH, LOG_WARN, "patch '%s': %s is not in force: %s", p->name,
			    f->name, why);
	return 0;
}

/* 1: a first difference; -EAGAIN: it could not be read, after some waiting; else 0. */
static int look_at(struct engine *e, const struct patch *p, struct func *f)
{
	const struct patch *owner;
	char why[SUTURE_TEXT_LEN];
	int err;

	/* a function that a newer patch covers has no redirect of its own */
	if (!p->installed || !f->on ||
	    (engine_active(e, f->old_addr, &owner) != f && !MUTATION(newest_looked_at))) {
		func_found(f);
		return 0;
	}
	e->look.functions++;
	err = e->ops.look(e->ops.ctx, f->old_addr, f->new_addr, why, sizeof(why));
	if (err == -EAGAIN)
		return err;
	if (err)
		return func_missed(p, f, why);
	func_verified(p, f);
	return 0;
}

void engine_look_stats(const struct engine *e, struct look_stats *s)
{
	*s = e->look.stats;
}

static void begin_round(struct engine *e, u64 now)
{
	e->look.round_us = now;
	e->look.again = false;
	e->look.functions = e->look.took_us = 0;
}

static void end_round(struct engine *e, u64 now)
{
	e->look.stats.functions = e->look.functions;
	e->look.stats.last_us = e->look.took_us;
	e->look.next = 0;
	e->look.due_us = e->look.again ? now + AGAIN_US : e->look.round_us + ROUND_US;
}

/* Returns false at the end of all functions. */
static bool look_at_some(struct engine *e)
{
	struct patch *p;
	struct func *f;
	int err = 0;
	u32 i;

	for (i = 0; i < BATCH && err != -EAGAIN; i++) {
		f = nth_func(e, e->look.next, &p);
		if (!f)
			return false;
		e->look.next++;
		err = look_at(e, p, f);
		e->look.again |= err != 0;
	}
	return true;
}

static void look_and_count(struct engine *e, u64 now)
{
	u64 took_us;
	bool more;

	if (!e->look.next)
		begin_round(e, now);
	e->look.due_us = now + BATCH_US;
	more = look_at_some(e);
	took_us = e->ops.now_us(e->ops.ctx) - now;
	e->look.took_us += took_us;
	e->look.stats.max_us = MAX(e->look.stats.max_us, took_us);
	if (!more)
		end_round(e, now);
}

u64 engine_look(struct engine *e, u64 now)
{
	if (!e->ops.look || !is_on(e)) {
		e->look.stats.functions = e->look.stats.last_us = 0;
		return UINT64_MAX;
	}
	if (now >= e->look.due_us)
		look_and_count(e, now);
	return e->look.due_us;
}
