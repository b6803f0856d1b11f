/* SPDX-License-Identifier: BSD-2-Clause */
/* Is the guest well? Its agent's last word says. */
#include "patch/engine_types.h"
#include "core/errno.h"
#include "core/lib/format.h"

#define why_line(...) format(why, why_size, __VA_ARGS__)

static u64 silent_us(const struct engine *e)
{
	return e->ops.now_us(e->ops.ctx) - e->heard_us;
}

void engine_hear(struct engine *e)
{
	e->heard_us = e->ops.now_us(e->ops.ctx);
}

void engine_guest_health(const struct engine *e, struct guest_health *h)
{
	*h = (struct guest_health){.state = GUEST_UNKNOWN};
	if (!e->agent)
		return;
	h->silent_us = silent_us(e);
	h->state = h->silent_us < SILENCE_US ? GUEST_ALIVE : GUEST_SILENT;
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
