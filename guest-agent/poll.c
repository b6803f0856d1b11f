// SPDX-License-Identifier: GPL-2.0-only
/*
 * The thread that asks the monitor for work. While there is none it sleeps until the monitor rings
 * (bell.c), and wakes only to look after what is this kernel's own: that costs the guest no exit.
 */
#include <linux/freezer.h>
#include <linux/hrtimer.h>
#include <linux/kthread.h>
#include <linux/string.h>
#include "agent.h"

/* The longest sleep, and the longest one while patches are on or there is something to report. */
#define LOOK_MS		1000
#define LOOK_PATCHED_MS 250

static struct task_struct *thread;
static u32 idle_ms, active_ms;
static u32 wait_ms; /* from the last question to the next */
static ktime_t due; /* the next question */
static atomic_t kicked;

void poll_kick(void)
{
	struct task_struct *task = READ_ONCE(thread);

	atomic_set(&kicked, 1);
	if (task)
		wake_up_process(task);
}

/* The longest wait while something is under way, in times of active_ms. */
#define ACTIVE_WAITS 16

/* After work more may follow; without work the thread asks at growing intervals. */
static void wait_longer(u32 most)
{
	wait_ms = min(wait_ms + wait_ms / 4 + 1, most);
}

static void wait_for_work(const struct suture_work *work)
{
	static bool armed; /* it was the monitor's turn, when there was no work */

	if (work->net_ms)
		wait_ms = clamp(work->net_ms, idle_ms, 60000u);
	else if (work->active && !loader_is_busy())
		wait_longer(min(ACTIVE_WAITS * active_ms, idle_ms));
	else
		wait_longer(idle_ms);
	if (work->active)
		return;
	if (armed && !work->net_ms)
		bell_reopen();
	armed = work->net_ms;
}

/* Ask for work, and do it. */
static void poll_once(void)
{
	struct suture_msg poll = {.type = SUTURE_MSG_POLL, .size = sizeof(poll)};
	struct suture_work work;

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
		wait_ms = idle_ms; /* see loader_is_busy() */
		loader_start(&work);
		return;
	case SUTURE_WORK_PUMP:
		mutex_lock(&agent_lock);
		steps_pump(SUTURE_PUMP_WORK, work.name, "");
		mutex_unlock(&agent_lock);
		break;
	case SUTURE_WORK_SYMBOLS:
		symbols_tell(&work);
		break;
	default:
		bell_open_again();
		wait_for_work(&work);
		return;
	}
	wait_ms = active_ms;
}

static void poll_if_due(void)
{
	bool now = atomic_xchg(&kicked, 0);

	if (now)
		wait_ms = active_ms;
	else if (!bell_is_unanswered() && ktime_before(ktime_get(), due))
		return;
	poll_once();
	due = ktime_add_ms(ktime_get(), wait_ms);
}

/* Until the next question or look, or a kick. */
static void poll_sleep(void)
{
	bool often = !list_empty(&patches) || shadow_is_news();
	ktime_t until = ktime_add_ms(ktime_get(), often ? LOOK_PATCHED_MS : LOOK_MS);

	if (ktime_before(due, until))
		until = due;
	set_current_state(TASK_INTERRUPTIBLE);
	if (!atomic_read(&kicked) && !kthread_should_stop())
		schedule_hrtimeout_range(&until, NSEC_PER_MSEC / 2, HRTIMER_MODE_ABS);
	__set_current_state(TASK_RUNNING);
}

static int poll_thread(void *unused)
{
	set_freezable();
	while (!kthread_should_stop()) {
		bell_beat();
		shadow_report();
		overrides_report();
		poll_if_due();
		loader_check();
		poll_sleep();
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
	WRITE_ONCE(thread, task);
	return 0;
}

void poll_stop(void)
{
	kthread_stop(thread);
	WRITE_ONCE(thread, NULL);
}
