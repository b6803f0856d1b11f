/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest says that its kernel ends, or looks like another one: all redirects are gone at once. A
 * module of the guest can do either while its kernel goes on. The agent of a kernel that ends falls
 * silent; so an agent that goes on speaking means that nothing has ended, and the redirects are put
 * back, by a switch like any other.
 */
#include "core/log.h"
#include "lib/errno.h"
#include "lib/format.h"
#include "lib/string.h"
#include "patch/engine/types.h"

/* An agent that sleeps asks three seconds after its last answer (suture_hello.heartbeat). */
#define SILENT_US 5000000u

static bool is_on(const struct patch *p)
{
	u32 i;

	for (i = 0; p->installed && i < p->nr_funcs; i++)
		if (p->funcs[i].on)
			return true;
	return false;
}

/* The patch's functions are dropped, for this reason. */
static void tell_dropped(struct engine *e, struct patch *p)
{
	u32 i;

	for (i = 0; i < p->nr_funcs; i++)
		if (p->funcs[i].on)
			str_copy(p->funcs[i].lost, e->ended, sizeof(p->funcs[i].lost));
	format(p->why, sizeof(p->why), "dropped: %s", e->ended);
}

void engine_kernel_ends(struct engine *e, const char *why)
{
	struct patch *p;
	bool any = false;

	e->ended = why;
	e->ended_us = engine_now(e);
	e->put_back = false;
	for (p = e->patches; p; p = p->next) {
		if (!is_on(p))
			continue;
		any = true;
		tell_dropped(e, p);
	}
	if (any)
		log_limited(LOG_PATCH, LOG_WARN, "patches dropped: %s", why);
}

enum kernel_fate engine_kernel_fate(const struct engine *e)
{
	if (!e->ended || e->put_back)
		return KERNEL_IS_FINE;
	return !e->agent || engine_now(e) - e->ended_us > SILENT_US ? KERNEL_IS_GONE
								    : KERNEL_IS_OPEN;
}

void engine_kernel_goes_on(struct engine *e)
{
	log_limited(
		LOG_PATCH, LOG_WARN,
		"the same kernel goes on: what was dropped is put back as soon as no task is in "
		"the functions");
	e->put_back = true;
	e->put_back_us = 0;
	/* What the agent's watch has seen is of another set of functions. */
	if (e->ops.unwatch)
		e->ops.unwatch(e->ops.ctx);
}

/* ---- putting back ---- */

/* All functions that lead elsewhere by the records, from their originals; counted if s is NULL. */
static u32 collect_dropped(const struct engine *e, struct switch_func *s)
{
	const struct patch *p, *owner;
	u32 i, n = 0;

	for (p = e->patches; p; p = p->next)
		for (i = 0; p->installed && i < p->nr_funcs; i++) {
			const struct func *f = &p->funcs[i];

			if (!f->on || engine_active(e, f->old_addr, &owner) != f)
				continue;
			if (s)
				engine_fill_switch(&s[n], f, NULL, f);
			n++;
		}
	return n;
}

static int put_back(struct engine *e, struct transition_report *r)
{
	struct switch_set set = {.count = collect_dropped(e, NULL),
				 .mode = SWITCH_SAFE,
				 .budget_us = e->config.budget_max_us,
				 .limit_us = e->config.budget_max_us};
	size_t size = set.count * sizeof(*set.funcs);
	struct switch_func *funcs;
	int err;

	if (!set.count)
		return 0;
	funcs = e->ops.alloc(e->ops.ctx, size);
	if (!funcs)
		return -ENOMEM;
	collect_dropped(e, funcs);
	set.funcs = funcs;
	err = e->ops.try_switch(e->ops.ctx, &set, r);
	e->ops.free(e->ops.ctx, funcs, size);
	return err;
}

static void tell_put_back(struct engine *e)
{
	struct patch *p;
	u32 i;

	for (p = e->patches; p; p = p->next) {
		if (!is_on(p))
			continue;
		for (i = 0; i < p->nr_funcs; i++)
			func_found(&p->funcs[i]);
		p->why[0] = 0;
	}
	log_limited(LOG_PATCH, LOG_INFO, "what was dropped is in force again");
	e->ended = NULL;
	e->put_back = false;
}

static void tell_why(struct engine *e, const struct transition_report *r)
{
	struct patch *p;

	for (p = e->patches; p; p = p->next)
		if (is_on(p))
			format(p->why, sizeof(p->why), "dropped: %s; not put back yet: %s%s%s",
			       e->ended, r->reason, r->detail[0] ? ": " : "", r->detail);
}

u64 engine_put_back(struct engine *e, u64 now)
{
	struct transition_report r = {0};
	int err;

	if (!e->ended)
		return UINT64_MAX;
	if (!e->put_back)
		return e->ended_us + SILENT_US + 1;
	if (now < e->put_back_us)
		return e->put_back_us;
	err = put_back(e, &r);
	if (!err) {
		tell_put_back(e);
		return now;
	}
	e->put_back_us = now + (err == -EAGAIN ? e->config.retry_us : e->config.retry_max_us);
	tell_why(e, &r);
	if (err != -EAGAIN)
		log_limited(LOG_PATCH, LOG_ERROR, "what was dropped cannot be put back: %s (%s)",
			    r.reason, errno_name(err));
	return e->put_back_us;
}
