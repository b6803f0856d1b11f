/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/watch.h"
#include "arch/barrier.h"
#include "core/pool.h"
#include "guest/kernel.h"
#include "guest/mem.h"
#include "lib/errno.h"
#include "lib/mutate.h"
#include "lib/string.h"

#define MAX_RINGS 8192u
#define MAX_TASKS (4u << 20)

static struct {
	u32 id, last_id;
	u64 tasks, rings;
	u32 nr_tasks, nr_rings;
	u64 *taken; /* of each ring: events that were given out */
} watch;

/* The head of a ring, without its events. */
struct ring_head {
	u64 counter, behind, first, switches, events;
};

static u64 ring_at(u32 ring)
{
	return watch.rings + ring * (u64)sizeof(struct suture_watch_ring);
}

static int read_head(u32 ring, struct ring_head *head)
{
	return guest_read(GVA(ring_at(ring)), head, sizeof(*head));
}

static size_t taken_pages(u32 rings)
{
	return (rings * sizeof(*watch.taken) + PAGE_SIZE - 1) / PAGE_SIZE;
}

void guest_watch_end(void)
{
	if (watch.taken)
		pool_free(watch.taken, taken_pages(watch.nr_rings));
	watch.taken = NULL;
	watch.id = 0;
}

void guest_watch_restart(void)
{
	watch.taken = NULL;
	watch.id = 0;
}

int guest_watch_begin(const struct suture_watch *m)
{
	struct ring_head head;
	int err = 0;

	guest_watch_end();
	if (m->nr_rings != guest_kernel.layout.nr_cpu_ids || m->nr_rings > MAX_RINGS ||
	    m->nr_tasks > MAX_TASKS || m->tasks % 8 || m->rings % 8)
		return -EINVAL;
	watch.tasks = m->tasks;
	watch.rings = m->rings;
	watch.nr_tasks = m->nr_tasks;
	watch.nr_rings = m->nr_rings;
	watch.taken = pool_alloc(taken_pages(m->nr_rings));
	if (!watch.taken)
		return -ENOMEM;
	for (u32 i = 0; !err && i < m->nr_rings; i++) {
		err = read_head(i, &head);
		watch.taken[i] = head.first;
	}
	if (err) {
		guest_watch_end();
		return err;
	}
	watch.id = ++watch.last_id;
	return 0;
}

u32 guest_watch_id(void)
{
	return watch.id;
}

u32 guest_watch_tasks(void)
{
	return watch.nr_tasks;
}

int guest_watch_task(u32 i, struct suture_watch_task *t)
{
	return guest_read(GVA(watch.tasks + i * (u64)sizeof(*t)), t, sizeof(*t));
}

/* The record of one CPU. The guest may be running: an event counts if it was there after the read.
 */
static int take_events(u32 ring, int (*fn)(const struct suture_watch_task *event, void *arg),
		       void *arg)
{
	struct ring_head head;
	int r = read_head(ring, &head);

	arch_rmb();
	while (!r && watch.taken[ring] < head.events) {
		u64 slot = watch.taken[ring] % SUTURE_WATCH_EVENTS, now;
		u64 at = ring_at(ring) + offsetof(struct suture_watch_ring, event);
		struct suture_watch_task event;

		if (guest_read(GVA(at + slot * sizeof(event)), &event, sizeof(event)))
			return -EFAULT;
		arch_rmb();
		if (guest_read_u64(GVA(ring_at(ring) + offsetof(struct suture_watch_ring, events)),
				   &now))
			return -EFAULT;
		/* the next event to be written may already have overwritten the oldest one */
		if (now - watch.taken[ring] >= SUTURE_WATCH_EVENTS && !MUTATION(lost_events))
			return -EOVERFLOW;
		watch.taken[ring]++;
		r = fn(&event, arg);
	}
	return r;
}

int guest_watch_events(int (*fn)(const struct suture_watch_task *event, void *arg), void *arg)
{
	int r = 0;

	for (u32 i = 0; !r && i < watch.nr_rings; i++)
		r = take_events(i, fn, arg);
	return r;
}

int guest_watch_complete(void)
{
	for (u32 i = 0; i < watch.nr_rings; i++) {
		struct ring_head head;
		u64 counter;

		if (read_head(i, &head))
			return -EFAULT;
		/* a CPU that cannot exist */
		if (!head.counter)
			continue;
		if (guest_read_u64(GVA(head.counter), &counter))
			return -EFAULT;
		if (counter - head.behind != head.switches && !MUTATION(every_switch))
			return -EAGAIN;
	}
	return 0;
}
