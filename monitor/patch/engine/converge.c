/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the engine does about a transition that is blocked. It makes attempts at growing intervals,
 * has the agent send the fake signal to tasks that sleep in the function, and tells the operator if
 * a task always sleeps there.
 *
 * Linux sends its fake signal to all remaining tasks at once, and switches each of them when it
 * returns to user mode. Here all tasks must be out of the function at the same moment, and an
 * attempt names one blocker only. So signals are sent in rounds: for ROUND_US each new blocker gets
 * one as soon as an attempt names it, and the agent holds the tasks that had one before they return
 * to user mode.
 *
 * An idle task takes no signal. But it leaves every function except its main loop when its CPU has
 * something to run. The agent gives every CPU something to run for the length of an attempt. This
 * costs little, and an idle CPU seldom leaves the function by itself. So the engine asks for it as
 * soon as an idle task blocks, IDLE_TRIES times until the next round.
 */
#include "core/log.h"
#include "lib/format.h"
#include "lib/string.h"
#include "patch/engine/script.h"

#define SIGNAL_FIRST_US 5000000ull  /* from the first attempt that was blocked */
#define SIGNAL_US	15000000ull /* Linux's SIGNALS_TIMEOUT: 15 attempts, one a second */
#define ROUND_US	1000000ull
#define IDLE_TRIES	5

#define STUCK_ATTEMPTS 20
#define STUCK_US       30000000ull

void converge_reset(struct engine *e)
{
	struct patch *p = e->transition;

	e->converge = (struct convergence){
		.delay_us = e->config.retry_us,
		.idle_tries = IDLE_TRIES,
	};
	if (p && p->stuck)
		p->why[0] = 0;
	if (p)
		p->stuck = false;
}

/* Is it always the same function? */
static void look_for_stuck(struct engine *e, u64 now, const struct blocker *b)
{
	struct convergence *c = &e->converge;
	struct patch *p = e->transition;
	char comm[sizeof(b->comm)];

	if (strcmp(c->func, b->func)) {
		str_copy(c->func, b->func, sizeof(c->func));
		c->func_attempts = 0;
		c->func_since_us = now;
		if (p->stuck)
			p->why[0] = 0;
		p->stuck = false;
	}
	if (++c->func_attempts < STUCK_ATTEMPTS || now - c->func_since_us < STUCK_US || p->error)
		return;
	copy_text(comm, sizeof(comm), b->comm, sizeof(b->comm));
	format(p->why, sizeof(p->why),
	       "somebody always sleeps in %s (last: %s, pid %u): it cannot be switched while that "
	       "lasts: `suture cancel %s`",
	       b->func, comm, b->pid, p->name);
	if (!p->stuck)
		log_limited(LOG_PATCH, LOG_WARN, "patch '%s': %s", p->name, p->why);
	p->stuck = true;
}

static void look_for_signal(struct engine *e, u64 now, const struct blocker *b, bool changed)
{
	struct convergence *c = &e->converge;

	if (!c->signal_us)
		c->signal_us = now + SIGNAL_FIRST_US;
	if (now >= c->signal_us) {
		c->signal_us = now + SIGNAL_US;
		c->round_end_us = now + ROUND_US;
		c->announce = true;
		c->idle_tries = IDLE_TRIES;
	} else if (now >= c->round_end_us) {
		c->signal_pid = 0;
		return;
	} else if (!changed) {
		return; /* it has had its signal, or is about to */
	}
	c->signal_pid = b->pid; /* 0: an idle task */
}

u64 converge_blocked(struct engine *e, u64 now, const struct blocker *b)
{
	struct convergence *c = &e->converge;
	bool other = c->pid != b->pid, round = now < c->round_end_us;
	bool changed = other || strcmp(c->func, b->func);

	/* in a function that always has a sleeper, another task is not a new blocker */
	if (changed && (round || !e->transition->stuck || strcmp(c->func, b->func)))
		c->delay_us = e->config.retry_us;
	c->pid = b->pid;
	look_for_stuck(e, now, b);
	look_for_signal(e, now, b, changed);
	c->leave_idle = !b->pid && c->idle_tries;
	return converge_delay(e);
}

u64 converge_delay(struct engine *e)
{
	u64 delay_us = e->converge.delay_us;
	u64 most = MAX(e->config.retry_us, e->config.retry_max_us);

	e->converge.delay_us = MIN(delay_us * 2, most);
	return delay_us;
}

bool converge_wants_signal(const struct engine *e)
{
	const struct patch *p = e->transition;

	return p && !p->orphan && p->todo == TODO_NOTHING &&
	       (e->converge.signal_pid || e->converge.leave_idle) &&
	       (p->phase == PHASE_PATCHING || p->phase == PHASE_UNPATCHING);
}

bool script_signal(struct engine *e, struct script *s, struct suture_step_reply *r)
{
	struct convergence *c = &e->converge;

	SCRIPT_BEGIN(s)
	if (c->announce) {
		c->announce = false;
		c->rounds++;
		/* Linux says it once */
		GIVE(s, script_say(r, c->rounds == 1 ? SAY_NOTICE : SAY_DEBUG,
				   "signaling remaining tasks"));
	}
	if (c->leave_idle)
		GIVE(s, script_leave_idle(r));
	else
		GIVE(s, script_signal_task(r, c->signal_pid));
	SCRIPT_END
	c->idle_tries -= c->leave_idle;
	c->leave_idle = false;
	c->signal_pid = 0;
	c->delay_us = e->config.retry_us;
	e->next_attempt_us = e->ops.now_us(e->ops.ctx) + c->delay_us; /* release it */
	return script_finish(e, r, SUTURE_STEP_WAIT, 0);
}
