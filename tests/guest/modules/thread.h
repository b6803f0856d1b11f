/* SPDX-License-Identifier: GPL-2.0-only */
/* The one thread of a module, which stays in a function until it is woken. */
#ifndef THREAD_H
#define THREAD_H

#include <linux/kthread.h>
#include <linux/wait.h>

static DECLARE_WAIT_QUEUE_HEAD(queue);
static struct task_struct *thread; /* NULL: there is none */
static bool awake = true;	   /* where the thread is, it waits for this */

/* The last that the thread does: kthread_stop() wants to find it. */
static inline int thread_end(int status)
{
	wait_event(queue, kthread_should_stop());
	return status;
}

/* cpu: where it stays; negative: anywhere */
static inline int thread_start(int (*run)(void *), void *arg, const char *name, int cpu)
{
	struct task_struct *task;

	if (thread)
		return -EBUSY;
	task = kthread_create(run, arg, "%s", name);
	if (IS_ERR(task))
		return PTR_ERR(task);
	if (cpu >= 0)
		kthread_bind(task, cpu);
	WRITE_ONCE(awake, false);
	thread = task;
	wake_up_process(task);
	return 0;
}

static inline void thread_wake(void)
{
	if (!thread)
		return;
	WRITE_ONCE(awake, true);
	wake_up_all(&queue);
	kthread_stop(thread);
	thread = NULL;
}

#endif
