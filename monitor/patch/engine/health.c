/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The state of the guest. Its agent's messages show it. A guest whose agent is silent may have
 * panicked before the agent could say so: then all its CPUs but one are halted for ever. The engine
 * looks for that in a pause from time to time, only while the agent is silent, so that a healthy
 * guest has no exits for it.
 */
#include "core/log.h"
#include "lib/errno.h"
#include "lib/format.h"
#include "lib/string.h"
#include "patch/engine/types.h"

#define why_line(...) format(why, why_size, __VA_ARGS__)

static u64 silent_us(const struct engine *e)
{
	return e->ops.now_us(e->ops.ctx) - e->heard_us;
}

void engine_forget_health(struct engine *e)
{
	e->panic[0] = 0;
	e->suspected = false;
	e->look_us = e->halted_since_us = 0;
}

void engine_hear(struct engine *e)
{
	e->heard_us = e->ops.now_us(e->ops.ctx);
	e->look_us = e->halted_since_us = 0;
	if (e->suspected)
		engine_forget_health(e);
}

void engine_agent_lives(struct engine *e)
{
	if (e->agent)
		engine_hear(e);
}

/* ---- panics ---- */

#define LOOK_US	  5000000ull  /* silence before the first look, and time between two looks */
#define HALTED_US 10000000ull /* CPUs that are halted for this long stay halted */

void engine_panicked(struct engine *e, const char *why)
{
	if (!e->agent)
		return;
	copy_text(e->panic, sizeof(e->panic), why[0] ? why : "nobody knows of what",
		  sizeof(e->panic));
	e->suspected = false;
	log_limited(LOG_AGENT, LOG_ERROR, "the guest panicked: %s", e->panic);
}

static void look_at_guest(struct engine *e, u64 now)
{
	int halted = e->ops.panic_suspected(e->ops.ctx);

	e->look_us = now + LOOK_US;
	if (halted < 0)
		return; /* it could not be paused: nothing is known */
	if (!halted)
		e->halted_since_us = 0;
	else if (!e->halted_since_us)
		e->halted_since_us = now;
	if (!halted || now - e->halted_since_us < HALTED_US)
		return;
	engine_panicked(e, "all its CPUs but one are halted with interrupts off");
	e->suspected = true;
}

u64 engine_watch(struct engine *e, u64 now)
{
	if (!e->agent || !e->ops.panic_suspected || e->panic[0])
		return UINT64_MAX;
	if (now - e->heard_us < LOOK_US)
		return e->heard_us + LOOK_US;
	if (now >= e->look_us)
		look_at_guest(e, now);
	return e->panic[0] ? UINT64_MAX : e->look_us;
}

/* ---- what is shown, and asked ---- */

void engine_guest_health(const struct engine *e, struct guest_health *h)
{
	*h = (struct guest_health){.state = GUEST_UNKNOWN};
	if (!e->agent)
		return;
	h->silent_us = silent_us(e);
	h->state = e->panic[0]		       ? GUEST_PANICKED
		   : h->silent_us < SILENCE_US ? GUEST_ALIVE
					       : GUEST_SILENT;
	if (h->state == GUEST_PANICKED)
		format(h->why, sizeof(h->why), "guest panicked: %s", e->panic);
	if (h->state == GUEST_SILENT)
		format(h->why, sizeof(h->why),
		       "agent silent for %u s: the guest hangs, or is stopped",
		       SECONDS(h->silent_us));
}

const char *guest_state_name(enum guest_state s)
{
	static const char *const names[] = {
		[GUEST_UNKNOWN] = "unknown",
		[GUEST_ALIVE] = "alive",
		[GUEST_SILENT] = "silent",
		[GUEST_PANICKED] = "panicked",
	};

	return (unsigned int)s < ARRAY_SIZE(names) ? names[s] : "?";
}

int engine_check_agent(const struct engine *e, char *why, size_t why_size)
{
	struct guest_health h;

	engine_guest_health(e, &h);
	switch (h.state) {
	case GUEST_ALIVE:
		return 0;
	case GUEST_UNKNOWN:
		why_line("no agent in the guest: load its module there (modprobe suture)");
		return -ESRCH;
	default:
		why_line("%s", h.why);
		return -ESRCH;
	}
}
