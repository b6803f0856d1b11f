// SPDX-License-Identifier: GPL-2.0-only
/*
 * The watch: a record of who runs, while a switch is pending.
 *
 * The monitor looks at the stacks of sleeping tasks before it pauses the guest. What it has seen of
 * a task holds until the task runs. So each context switch is recorded, by a probe of the kernel's
 * own tracepoint. The list of tasks is made when the record has begun on every CPU: a task that is
 * in neither has not run since it was made, or has left the kernel's list before.
 *
 * Others may take the probe off, and tracepoints are silent on a CPU that goes offline. The kernel
 * counts the switches of each CPU for itself, and the monitor compares.
 */
#include <linux/cpu.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/smp.h>
#include <linux/tracepoint.h>
#include <linux/vmalloc.h>
#include "agent.h"
#include "compat.h"

/* Room for tasks that come while the list is made. */
#define SPARE_TASKS 256
#define TRIES	    5

static struct tracepoint *tracepoint;
static struct suture_watch_ring *rings; /* of all possible CPU numbers */
static struct suture_watch_task *tasks;
static u32 room; /* entries in tasks */
static bool on;

/* ---- the record ---- */

static __always_inline void record(struct suture_watch_ring *ring, const struct task_struct *task,
				   bool dead)
{
	struct suture_watch_task *event = &ring->event[ring->events % SUTURE_WATCH_EVENTS];

	if (!task->pid)
		return;
	event->task = (unsigned long)task | (dead ? SUTURE_WATCH_DEAD : 0);
	event->start = task->start_time;
	smp_store_release(&ring->events, ring->events + 1);
}

/* Interrupts are off. */
COMPAT_SWITCH_PROBE(record_switch, prev, next)
{
	struct suture_watch_ring *ring = &rings[smp_processor_id()];

	record(ring, prev, compat_is_dead(prev));
	record(ring, next, false);
	smp_store_release(&ring->switches, ring->switches + 1);
}

static void find_tracepoint(struct tracepoint *tp, void *found)
{
	if (!strcmp(tp->name, "sched_switch"))
		*(struct tracepoint **)found = tp;
}

static void begin_record(unsigned int cpu)
{
	struct suture_watch_ring *ring = &rings[cpu];

	ring->behind = *(u64 *)(unsigned long)ring->counter - ring->switches;
	ring->first = ring->events;
}

/* With interrupts off this CPU is not in the middle of a switch. */
static void begin_record_here(void *unused)
{
	begin_record(smp_processor_id());
}

static void begin_records(void)
{
	unsigned int cpu;

	cpus_read_lock();
	on_each_cpu(begin_record_here, NULL, 1);
	for_each_possible_cpu(cpu)
	{
		if (!cpu_online(cpu))
			begin_record(cpu);
	}
	cpus_read_unlock();
}

static int make_rings(void)
{
	unsigned long counter = compat_pcpu_switches();
	unsigned int cpu;

	if (rings)
		return 0;
	for_each_kernel_tracepoint(find_tracepoint, &tracepoint);
	if (!counter || !tracepoint)
		return -EOPNOTSUPP;
	rings = vzalloc(array_size(nr_cpu_ids, sizeof(*rings)));
	if (!rings)
		return -ENOMEM;
	for_each_possible_cpu(cpu) rings[cpu].counter =
		(unsigned long)per_cpu_ptr((void __percpu *)counter, cpu);
	return 0;
}

/* ---- the list ---- */

/*
 * Returns the number of tasks; those for which there is no room are only counted. A task that has
 * died before the record began will have no event there, and may be freed at any time: it is left
 * out. If it is still on its last way to the scheduler, it runs.
 */
static u32 fill_list(void)
{
	struct task_struct *process, *task;
	u32 count = 0;

	rcu_read_lock();
	for_each_process_thread(process, task)
	{
		if (compat_is_dead(task))
			continue;
		if (count < room)
			tasks[count] = (struct suture_watch_task){
				.task = (unsigned long)task,
				.start = task->start_time,
			};
		count++;
	}
	rcu_read_unlock();
	return count;
}

/* Returns the number of tasks, or negative errno. */
static int list_tasks(void)
{
	u32 count = fill_list();
	unsigned int try;

	for (try = 0; count > room; try++) {
		if (try == TRIES)
			return -EAGAIN;
		vfree(tasks);
		room = count + SPARE_TASKS;
		tasks = vmalloc(array_size(room, sizeof(*tasks)));
		if (!tasks) {
			room = 0;
			return -ENOMEM;
		}
		count = fill_list();
	}
	return count;
}

/* ---- its beginning and end ---- */

int watch_begin(void)
{
	struct suture_watch watch = {
		.msg = {.type = SUTURE_MSG_WATCH, .size = sizeof(watch)},
		.nr_rings = nr_cpu_ids,
	};
	int ret = make_rings();

	if (!ret && !on)
		ret = tracepoint_probe_register(tracepoint, record_switch, NULL);
	if (ret)
		return ret;
	on = true;
	begin_records();
	ret = list_tasks();
	if (ret < 0)
		goto fail;
	watch.tasks = (unsigned long)tasks;
	watch.rings = (unsigned long)rings;
	watch.nr_tasks = ret;
	ret = mailbox_send(&watch.msg);
	if (!ret)
		return 0;
fail:
	watch_end();
	return ret;
}

void watch_end(void)
{
	if (on)
		tracepoint_probe_unregister(tracepoint, record_switch, NULL);
	on = false;
}

void watch_exit(void)
{
	watch_end();
	tracepoint_synchronize_unregister();
	vfree(rings);
	vfree(tasks);
}
