// SPDX-License-Identifier: GPL-2.0-only
/*
 * The fake signal to a task that sleeps in a function that is to be switched.
 *
 * The task leaves the function with -ERESTARTSYS and would call it again at once. The switch needs
 * all tasks out at the same moment, and would seldom find it outside. So the task is held where it
 * leaves the kernel: there it has no lock, and nothing of the call is left on its stack.
 */
#include <linux/pid_namespace.h>
#include <linux/sched.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/task_work.h>
#include <linux/wait.h>
#include "agent.h"
#include "compat.h"

#define HOLD_MS 2000

/* One for each task that is held, or is to be. */
struct held {
	struct list_head list;
	struct callback_head work;
	struct task_struct *task; /* only compared */
	u32 round;
};

static LIST_HEAD(held);
static DEFINE_SPINLOCK(held_lock);
static DECLARE_WAIT_QUEUE_HEAD(held_queue);
static u32 round; /* of holding: when it changes, the tasks of the one before are released */

static void forget(struct held *h)
{
	spin_lock(&held_lock);
	list_del(&h->list);
	spin_unlock(&held_lock);
	kfree(h);
	module_put(THIS_MODULE);
}

/* In the task's own context, at its way out to user mode, or in its exit. */
static void hold(struct callback_head *work)
{
	struct held *h = container_of(work, struct held, work);

	/* a real signal ends the wait */
	if (!(current->flags & PF_EXITING))
		wait_event_interruptible_timeout(held_queue, READ_ONCE(round) != h->round,
						 msecs_to_jiffies(HOLD_MS));
	forget(h);
}

static bool is_held(const struct task_struct *task)
{
	const struct held *h;
	bool found = false;

	spin_lock(&held_lock);
	list_for_each_entry(h, &held, list) found |= h->task == task;
	spin_unlock(&held_lock);
	return found;
}

static void signal_user(struct task_struct *task)
{
	struct held *h;

	if (is_held(task))
		return;
	h = kzalloc(sizeof(*h), GFP_KERNEL);
	if (!h) {
		compat_fake_signal(task);
		return;
	}
	init_task_work(&h->work, hold);
	h->task = task;
	h->round = round;
	__module_get(THIS_MODULE); /* until the work has run: rmmod is refused */
	spin_lock(&held_lock);
	list_add(&h->list, &held);
	spin_unlock(&held_lock);
	if (compat_task_work(task, &h->work))
		forget(h); /* it exits */
}

void signal_task(u32 pid)
{
	struct task_struct *task;

	rcu_read_lock();
	task = pid_task(find_pid_ns(pid, &init_pid_ns), PIDTYPE_PID);
	if (task)
		get_task_struct(task);
	rcu_read_unlock();
	if (!task)
		return;
	if (task->flags & PF_KTHREAD)
		compat_fake_signal(task);
	else if (task != current)
		signal_user(task);
	put_task_struct(task);
}

void signal_release(void)
{
	WRITE_ONCE(round, round + 1);
	wake_up_all(&held_queue);
}

void signal_exit(void)
{
	/* the task that put the last reference may still execute the agent's last instructions */
	synchronize_rcu_tasks();
}
