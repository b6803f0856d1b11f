// SPDX-License-Identifier: GPL-2.0-only
/* The thread that asks the monitor for work. */
#include <linux/freezer.h>
#include <linux/hrtimer.h>
#include <linux/kthread.h>
#include <linux/string.h>
#include "agent.h"

static struct task_struct *thread;
static u32 idle_ms, active_ms;
static u32 wait_ms; /* until the next question */
static atomic_t kicked;

void poll_kick(void)
{
	atomic_set(&kicked, 1);
	if (thread)
		wake_up_process(thread);
}

/* The longest wait while something is under way, in times of active_ms. */
#define ACTIVE_WAITS 16

/* After work more may follow; without work the thread asks at growing intervals. */
static void wait_longer(u32 most)
{
	wait_ms = min(wait_ms + wait_ms / 4 + 1, most);
}

static void poll_once(void)
{
	struct suture_msg poll = {.type = SUTURE_MSG_POLL, .size = sizeof(poll)};
	struct suture_work work;

	shadow_report();
	overrides_report();
	if (mailbox_call(&poll, &work, sizeof(work))) {
		wait_ms = idle_ms;
		return;
	}
	if (work.msg.status == -EPERM)
		agent_again();
	if (work.msg.status) {
		wait_ms = idle_ms;
		return;
	}
	work.name[sizeof(work.name) - 1] = 0;
	work.params[sizeof(work.params) - 1] = 0;

	switch (work.kind) {
	case SUTURE_WORK_LOAD:
	case SUTURE_WORK_UNLOAD:
		loader_start(&work);
		break;
	case SUTURE_WORK_PUMP:
		mutex_lock(&agent_lock);
		steps_pump(SUTURE_PUMP_WORK, work.name, "");
		mutex_unlock(&agent_lock);
		break;
	case SUTURE_WORK_SYMBOLS:
		symbols_tell(&work);
		break;
	default:
		wait_longer(work.active ? min(ACTIVE_WAITS * active_ms, idle_ms) : idle_ms);
		return;
	}
	wait_ms = active_ms;
}

static int poll_thread(void *unused)
{
	set_freezable();
	while (!kthread_should_stop()) {
		ktime_t wait;

		poll_once();
		loader_check();
		wait = ms_to_ktime(wait_ms);
		set_current_state(TASK_INTERRUPTIBLE);
		if (atomic_xchg(&kicked, 0))
			wait_ms = active_ms;
		else if (!kthread_should_stop())
			schedule_hrtimeout_range(&wait, NSEC_PER_MSEC / 2, HRTIMER_MODE_REL);
		__set_current_state(TASK_RUNNING);
		try_to_freeze();
	}
	return 0;
}

int poll_start(u32 idle, u32 active)
{
	struct task_struct *task;

	idle_ms = clamp(idle, 1u, 10000u);
	active_ms = clamp(active, 1u, idle_ms);
	wait_ms = idle_ms;
	task = kthread_run(poll_thread, NULL, "suture");
	if (IS_ERR(task))
		return PTR_ERR(task);
	thread = task;
	return 0;
}

void poll_stop(void)
{
	kthread_stop(thread);
	thread = NULL;
}
