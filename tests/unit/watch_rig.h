/* SPDX-License-Identifier: BSD-2-Clause */
/* The agent's watch in the synthetic guest. */
#ifndef WATCH_RIG_H
#define WATCH_RIG_H

#include "synthetic.h"
#include "guest/task.h"
#include "guest/watch.h"

static u64 watch_rings, watch_list, watch_counters;
static u32 watch_listed;

static inline u64 watch_ring(u32 cpu)
{
	return watch_rings + cpu * (u64)sizeof(struct suture_watch_ring);
}

static inline void watch_add(u64 at, u64 n)
{
	syn_set(at, syn_get(at) + n);
}

static inline int watch_list_task(const struct guest_task *t, void *arg)
{
	u64 at = watch_list + watch_listed++ * sizeof(struct suture_watch_task);

	(void)arg;
	syn_set(at, t->task);
	syn_set(at + 8, t->start);
	return 0;
}

/* The rings, empty, and a list of room for so many tasks. The kernel has switched before. */
static inline void watch_new(u32 room)
{
	watch_rings = syn_alloc(SYN_MAX_CPU_IDS * sizeof(struct suture_watch_ring));
	watch_list = syn_alloc(room * sizeof(struct suture_watch_task));
	watch_counters = syn_alloc(SYN_MAX_CPU_IDS * 8ull);
	for (u32 cpu = 0; cpu < SYN_MAX_CPU_IDS; cpu++) {
		syn_set(watch_counters + 8 * cpu, 4711);
		syn_set(watch_ring(cpu) + offsetof(struct suture_watch_ring, counter),
			watch_counters + 8 * cpu);
	}
}

/* As the agent does it. */
static inline int watch_begin(void)
{
	struct suture_watch m = {
		.tasks = watch_list, .rings = watch_rings, .nr_rings = SYN_MAX_CPU_IDS};

	for (u32 cpu = 0; cpu < SYN_MAX_CPU_IDS; cpu++) {
		u64 ring = watch_ring(cpu);

		syn_set(ring + offsetof(struct suture_watch_ring, behind),
			syn_get(watch_counters + 8 * cpu) -
				syn_get(ring + offsetof(struct suture_watch_ring, switches)));
		syn_set(ring + offsetof(struct suture_watch_ring, first),
			syn_get(ring + offsetof(struct suture_watch_ring, events)));
	}
	watch_listed = 0;
	assert_int_equal(guest_for_each_task(UINT64_MAX, watch_list_task, NULL), 0);
	m.nr_tasks = watch_listed;
	return guest_watch_begin(&m);
}

static inline void watch_event(u32 cpu, u64 task, u64 start, bool dead)
{
	u64 events = watch_ring(cpu) + offsetof(struct suture_watch_ring, events);
	u64 at = watch_ring(cpu) + offsetof(struct suture_watch_ring, event) +
		 syn_get(events) % SUTURE_WATCH_EVENTS * sizeof(struct suture_watch_task);

	syn_set(at, task | (dead ? SUTURE_WATCH_DEAD : 0));
	syn_set(at + 8, start);
	watch_add(events, 1);
}

/* A context switch on the kernel's CPU number `cpu`; 0: the idle task. */
static inline void watch_switch(u32 cpu, u64 prev, bool dead, u64 next)
{
	watch_add(watch_counters + 8 * cpu, 1);
	if (prev)
		watch_event(cpu, prev, syn_get(prev + TASK_START), dead);
	if (next)
		watch_event(cpu, next, syn_get(next + TASK_START), false);
	watch_add(watch_ring(cpu) + offsetof(struct suture_watch_ring, switches), 1);
}

#endif
