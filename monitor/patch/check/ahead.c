/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Looking at stacks before the pause, while the guest runs (docs/consistency.md, "Before the
 * pause").
 *
 * The agent's watch lists all tasks, and records who runs. What was seen of a task that sleeps is
 * true for as long as it does not run. So a task of the list whose stack is clear needs no entry
 * here: it is looked at again only if an event names it. What is read of a task that runs
 * meanwhile, or is freed, may be wrong, but then there is an event of it, or it runs in the pause.
 */
#include "arch/time.h"
#include "core/pool.h"
#include "guest/mem.h"
#include "guest/module.h"
#include "guest/watch.h"
#include "lib/errno.h"
#include "lib/mutate.h"
#include "lib/string.h"
#include "patch/check/run.h"

/* Tasks that are not clear, or have run, that can be remembered; index slots, a power of two. */
#define MAX_NOTED  4096u
#define SLOTS_LOG2 13
#define SLOTS	   (1u << SLOTS_LOG2)

/* A CPU may be stopped between the kernel's counter and the record; more often it is a gap. */
#define MAX_INCOMPLETE 3
/* What judge_noted() returns for a task whose end is missing in the record. */
#define GONE (-ENOENT)

struct noted {
	u64 task, start;
	enum { LOOK, CLEAR, DEAD } state; /* LOOK: the pause must */
};

static struct check_ahead {
	struct check check;
	struct transition_report ignored;
	u32 watch; /* the id of the watch that it is about */
	u32 next;  /* the task of the list that is looked at next */
	u32 nr_noted;
	u32 stale;	/* words on the stacks of tasks that are clear all the same */
	bool full;	/* a task could not be noted */
	u32 incomplete; /* attempts in a row for which the record had gaps */
	struct noted noted[MAX_NOTED];
	u16 slots[SLOTS]; /* index into noted, plus 1 */
	u32 nr_ranges;
	struct check_range ranges[]; /* that were looked for */
} * ahead;

static size_t ahead_pages(u32 ranges)
{
	return (sizeof(*ahead) + ranges * sizeof(struct check_range) + PAGE_SIZE - 1) / PAGE_SIZE;
}

/* With the watch, whose events are given out once. */
void check_ahead_forget(void)
{
	if (ahead)
		pool_free(ahead, ahead_pages(ahead->nr_ranges));
	ahead = NULL;
	guest_watch_end();
}

void check_restart(void)
{
	ahead = NULL;
	guest_cache_end();
	guest_modules_forget();
}

/*
 * The task's entry, a new one if it has none; NULL: there is no room. Multiplicative hashing with
 * linear probing: Knuth, The Art of Computer Programming, volume 3, 6.4.
 */
static struct noted *note_task(u64 task, u64 start)
{
	u32 slot = (u32)((task >> 6) * 0x9e3779b97f4a7c15ull >> (64 - SLOTS_LOG2));
	struct noted *n;

	for (; ahead->slots[slot]; slot = (slot + 1) % SLOTS) {
		n = &ahead->noted[ahead->slots[slot] - 1];
		if (n->task == task && (n->start == start || MUTATION(another_task)))
			return n;
	}
	if (ahead->nr_noted == MAX_NOTED) {
		ahead->full = true;
		return NULL;
	}
	n = &ahead->noted[ahead->nr_noted++];
	*n = (struct noted){task, start, LOOK};
	ahead->slots[slot] = (u16)ahead->nr_noted;
	return n;
}

static bool is_late(u64 until_us)
{
	return arch_time_us() >= until_us;
}

/* Events between two looks at the clock. */
#define EVENTS_PER_LOOK 64u

/* Events are noted until a time; what remains is for another call. */
struct note_run {
	u64 until_us;
	u32 events;
};

/* The events of several CPUs are not in order: who has died once does not run again. */
static int note_event(const struct suture_watch_task *event, void *arg)
{
	struct note_run *run = arg;
	struct noted *n;

	if (MUTATION(ran_since))
		return 0;
	n = note_task(event->task & ~(u64)SUTURE_WATCH_DEAD, event->start);
	if (n && event->task & SUTURE_WATCH_DEAD)
		n->state = DEAD;
	else if (n && n->state == CLEAR)
		n->state = LOOK;
	return ++run->events % EVENTS_PER_LOOK == 0 && is_late(run->until_us) ? -ETIMEDOUT : 0;
}

/* 0: all; -ETIMEDOUT: there was no time for all; or as guest_watch_events(). */
static int note_events(u64 until_us)
{
	struct note_run run = {.until_us = until_us};

	return guest_watch_events(note_event, &run);
}

/* Is its stack clear? In doubt it is not. */
static bool is_task_clear(u64 task, u64 start)
{
	struct guest_task t;

	return !guest_task_at(task, &t) && t.start == start &&
	       (!t.on_cpu || MUTATION(ahead_of_running)) && !check_task(&t, &ahead->check);
}

/* 0, -EFAULT; -EAGAIN: there was no time for all. */
static int look_at_list(u64 until_us)
{
	struct suture_watch_task t;

	for (; ahead->next < guest_watch_tasks(); ahead->next++) {
		if (is_late(until_us))
			return -EAGAIN;
		if (guest_watch_task(ahead->next, &t))
			return -EFAULT;
		ahead->ignored.words_cleared = 0;
		if (is_task_clear(t.task, t.start))
			ahead->stale += ahead->ignored.words_cleared;
		else
			note_task(t.task, t.start);
	}
	return 0;
}

/* A task whose events were taken before this: a later one has it looked at again. */
static int look_at_noted(u64 until_us)
{
	for (u32 i = 0; i < ahead->nr_noted; i++) {
		struct noted *n = &ahead->noted[i];

		if (n->state != LOOK)
			continue;
		if (is_late(until_us))
			return -EAGAIN;
		if (is_task_clear(n->task, n->start))
			n->state = CLEAR;
	}
	return 0;
}

static bool is_about(const struct check_range *ranges, u32 count)
{
	if (!ahead || ahead->watch != guest_watch_id() || ahead->nr_ranges != count)
		return false;
	for (u32 i = 0; i < count; i++)
		if (ahead->ranges[i].start != ranges[i].start ||
		    ahead->ranges[i].end != ranges[i].end)
			return false;
	return true;
}

/* Who has run and who has died does not depend on what is looked for; events are given out once. */
static void keep_noted(const struct check_ahead *old)
{
	if (old->watch != ahead->watch || MUTATION(noted_before))
		return;
	ahead->full = old->full;
	ahead->incomplete = old->incomplete;
	ahead->nr_noted = old->nr_noted;
	memcpy(ahead->noted, old->noted, sizeof(ahead->noted));
	memcpy(ahead->slots, old->slots, sizeof(ahead->slots));
	for (u32 i = 0; i < ahead->nr_noted; i++)
		if (ahead->noted[i].state == CLEAR)
			ahead->noted[i].state = LOOK;
}

static int start_anew(const struct check_range *ranges, u32 count)
{
	struct check_ahead *old = ahead;
	struct check *c;

	ahead = pool_alloc(ahead_pages(count));
	if (ahead) {
		ahead->watch = guest_watch_id();
		ahead->nr_ranges = count;
		memcpy(ahead->ranges, ranges, count * sizeof(*ranges));
		if (old)
			keep_noted(old);
	}
	if (old)
		pool_free(old, ahead_pages(old->nr_ranges));
	if (!ahead)
		return -ENOMEM;
	c = &ahead->check;
	check_look_for(c, ahead->ranges, count, &ahead->ignored);
	c->guest_runs = true;
	guest_modules_forget();
	return check_collect_probes(c);
}

static int set_ranges(const struct check_range *ranges, u32 count)
{
	if (!is_about(ranges, count))
		return start_anew(ranges, count);
	/* the names of this attempt */
	memcpy(ahead->ranges, ranges, count * sizeof(*ranges));
	return 0;
}

int check_ahead(const struct check_range *ranges, u32 count, u64 until_us)
{
	struct pause limit = {.deadline_us = UINT64_MAX};
	int err;

	if (!guest_watch_id())
		return -ENOENT;
	guest_cache_begin();
	err = set_ranges(ranges, count);
	if (!err) {
		ahead->check.pause = &limit;
		err = look_at_list(until_us);
	}
	if (!err || err == -EAGAIN) {
		int lost = note_events(until_us);

		if (lost)
			err = lost == -ETIMEDOUT ? -EAGAIN : lost;
	}
	if (!err)
		err = look_at_noted(until_us);
	guest_cache_end();
	if (err != -EAGAIN && (err || ahead->full || ahead->incomplete == MAX_INCOMPLETE)) {
		check_ahead_forget();
		return -ENOENT;
	}
	return err;
}

/* ---- in the pause ---- */

static bool has_same_probes(const struct check *c)
{
	const struct check *then = &ahead->check;

	if (c->nr_probes != then->nr_probes)
		return MUTATION(probes_since);
	for (u32 i = 0; i < c->nr_probes; i++)
		if (c->probes[i].start != then->probes[i].start ||
		    c->probes[i].end != then->probes[i].end)
			return MUTATION(probes_since);
	return true;
}

bool check_ahead_holds(const struct check *c)
{
	return is_about(c->ranges, c->nr_ranges) && ahead->next == guest_watch_tasks() &&
	       has_same_probes(c);
}

/* A task that dies has an event, and zombies are not listed: a freed one is a gap in the record. */
static int judge_noted(struct check *c, const struct noted *n)
{
	struct guest_task t;

	if (guest_task_at(n->task, &t) || t.start != n->start)
		return check_refuse(c, GONE, "a task at %#llx is not there any more", n->task);
	return check_task(&t, c);
}

/* How many were looked at is added to *looked. */
static int judge_all_noted(struct check *c, u64 *looked)
{
	int err = 0;

	for (u32 i = 0; !err && i < ahead->nr_noted; i++) {
		if (ahead->noted[i].state != LOOK)
			continue;
		++*looked;
		err = judge_noted(c, &ahead->noted[i]);
	}
	return err;
}

int check_ahead_judge(struct check *c)
{
	u64 listed = guest_watch_tasks(), looked = 0;
	int record = guest_watch_complete(), err;

	if (!record)
		record = note_events(c->pause->deadline_us);
	if (record == -ETIMEDOUT)
		return check_out_of_time(c);
	err = record ? check_refuse(c, record, "the record of who has run is not complete")
		     : judge_all_noted(c, &looked);
	ahead->incomplete = record || err == GONE ? ahead->incomplete + 1 : 0;
	if (err)
		return err;
	if (ahead->full && !MUTATION(all_noted))
		return check_refuse(c, -EFAULT, "more than %u tasks have run since", MAX_NOTED);
	c->r->tasks_before_pause = listed > looked ? listed - looked : 0;
	c->r->tasks_checked += c->r->tasks_before_pause;
	c->r->words_cleared += ahead->stale;
	return 0;
}
