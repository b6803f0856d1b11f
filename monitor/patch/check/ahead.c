/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checking the stacks of sleeping tasks before the pause (docs/consistency.md, "Before the pause").
 *
 * The guest runs meanwhile: lists may be inconsistent, and tasks may be freed and their memory be
 * used for something else. A task that is missed for that is checked in the pause. A remembered
 * task counts in the pause if a task sleeps at the same address, was made at the same time, and has
 * stopped running as often: then it has slept all the time, and only a task itself writes return
 * addresses to its stack.
 */
#include "arch/time.h"
#include "core/pool.h"
#include "lib/errno.h"
#include "lib/mutate.h"
#include "lib/string.h"
#include "patch/check/run.h"

/* After this time the rest is left to the pause: the service CPU has other work to do. */
#define AHEAD_US 50000

/* A task is in one of this many consecutive slots, or is not remembered. */
#define SLOTS_LOG2 13
#define SLOTS	   (1u << SLOTS_LOG2)
#define PROBES	   16u

struct check_ahead {
	struct check check;
	struct transition_report ignored;
	struct slot {
		u64 task, start, switches;
	} slots[SLOTS];
};

#define AHEAD_PAGES ((sizeof(struct check_ahead) + PAGE_SIZE - 1) / PAGE_SIZE)

/*
 * The task's slot, or an empty one for it; NULL when there is none. Multiplicative hashing with
 * linear probing: Knuth, The Art of Computer Programming, volume 3, 6.4.
 */
static const struct slot *find_slot(const struct check_ahead *a, u64 task)
{
	u32 first = (u32)((task >> 6) * 0x9e3779b97f4a7c15ull >> (64 - SLOTS_LOG2));

	for (u32 i = first; i < first + PROBES; i++) {
		const struct slot *s = &a->slots[i % SLOTS];

		if (s->task == task || !s->task)
			return s;
	}
	return NULL;
}

static void remember_task(struct check_ahead *a, const struct guest_task *t)
{
	const struct slot *s = find_slot(a, t->task);

	if (s)
		a->slots[s - a->slots] = (struct slot){t->task, t->start, t->switches};
}

static int look_at_task(const struct guest_task *t, void *arg)
{
	struct check_ahead *a = arg;
	int err;

	if (t->on_cpu && !MUTATION(ahead_of_running))
		return 0;
	err = check_task(t, &a->check);
	if (!err)
		remember_task(a, t);
	/* A blocker is found in the pause, if it still blocks. */
	return err == -ETIMEDOUT ? err : 0;
}

struct check_ahead *check_ahead(const struct check_range *ranges, u32 count)
{
	struct check_ahead *a = pool_alloc(AHEAD_PAGES);
	struct pause limit = {.deadline_us = arch_time_us() + AHEAD_US};
	struct check *c;

	if (!a)
		return NULL;
	c = &a->check;
	check_look_for(c, ranges, count, &a->ignored);
	c->pause = &limit;
	c->guest_runs = true;
	if (!check_collect_probes(c))
		guest_for_each_task(look_at_task, a);
	c->pause = NULL;
	return a;
}

void check_ahead_free(struct check_ahead *a)
{
	if (a)
		pool_free(a, AHEAD_PAGES);
}

bool check_ahead_knows(const struct check_ahead *a, const struct guest_task *t)
{
	const struct slot *s = a ? find_slot(a, t->task) : NULL;

	return s && s->task == t->task && (s->start == t->start || MUTATION(another_task)) &&
	       (s->switches == t->switches || MUTATION(ran_since));
}

bool check_ahead_holds(const struct check_ahead *a, const struct check *c)
{
	if (!a || MUTATION(probes_since))
		return a != NULL;
	for (u32 i = 0; i < c->nr_probes; i++)
		if (i >= a->check.nr_probes || c->probes[i].start != a->check.probes[i].start ||
		    c->probes[i].end != a->check.probes[i].end)
			return false;
	return c->nr_probes == a->check.nr_probes;
}
