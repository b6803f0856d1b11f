// SPDX-License-Identifier: GPL-2.0-only
/*
 * Idle tasks whose stacks have a function that is to be switched.
 *
 * An idle task returns to its main loop from every function when its CPU has something to run. So
 * each CPU gets a thread that does nothing, until the switch has been tried.
 */
#include <linux/cpumask.h>
#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/percpu.h>
#include <linux/sched.h>
#include <linux/sched/task.h>
#include <linux/wait.h>
#include "agent.h"

#define LOWEST_NICE 19

/* NULL, or a thread, which may have ended: the agent holds a reference. */
static DEFINE_PER_CPU(struct task_struct *, runner);
static atomic_t due; /* threads that have not run yet */
static DECLARE_WAIT_QUEUE_HEAD(all_run);
static unsigned long end; /* of their time, in jiffies */

static int run(void *unused)
{
	if (atomic_dec_and_test(&due))
		wake_up(&all_run);
	while (!kthread_should_stop() && time_before(jiffies, READ_ONCE(end))) {
		cpu_relax();
		cond_resched();
	}
	return 0;
}

static void start(unsigned int cpu)
{
	struct task_struct *task =
		kthread_create_on_node(run, NULL, NUMA_NO_NODE, "suture/%u", cpu);

	if (IS_ERR(task)) {
		pr_warn_once("no thread for CPU %u (error %ld): its idle task goes on\n", cpu,
			     PTR_ERR(task));
		return;
	}
	get_task_struct(task); /* it may have ended when it is to be stopped */
	per_cpu(runner, cpu) = task;
	kthread_bind(task, cpu);
	set_user_nice(task, LOWEST_NICE);
	atomic_inc(&due);
	wake_up_process(task);
}

static void stop(unsigned int cpu)
{
	struct task_struct *task = per_cpu(runner, cpu);

	if (!task)
		return;
	per_cpu(runner, cpu) = NULL;
	/* a real-time task may keep it from its CPU for ever: let it end on this one */
	if (!READ_ONCE(task->exit_state))
		set_cpus_allowed_ptr(task, cpumask_of(raw_smp_processor_id()));
	kthread_stop(task);
	put_task_struct(task);
}

void idle_leave(void)
{
	unsigned int cpu;

	idle_release();
	WRITE_ONCE(end, jiffies + msecs_to_jiffies(IDLE_START_MS + IDLE_HOLD_MS));
	atomic_set(&due, 0);
	for_each_online_cpu(cpu) start(cpu);
	wait_event_timeout(all_run, atomic_read(&due) <= 0, msecs_to_jiffies(IDLE_START_MS));
	WRITE_ONCE(end, jiffies + msecs_to_jiffies(IDLE_HOLD_MS));
}

void idle_release(void)
{
	unsigned int cpu;

	WRITE_ONCE(end, jiffies);
	for_each_possible_cpu(cpu) stop(cpu);
}
