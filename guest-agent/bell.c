// SPDX-License-Identifier: GPL-2.0-only
/*
 * The doorbell: the monitor wakes the thread that polls. It is an interrupt of each CPU's own
 * (bell_cpu.c), or one of the machine's (bell_line.c).
 */
#include <linux/io.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include "agent.h"

static DEFINE_MUTEX(lock);	    /* of what follows; innermost */
static const struct bell_ops *bell; /* NULL: there is none */
static bool closed;
static bool again; /* it is to be opened once the monitor has answered */

/* What the monitor answers once a second (abi.h). */
#define UNANSWERED_MS 2000

static struct heartbeat {
	u32 beats;
	u32 answers; /* the monitor's */
} * heartbeat;
static u32 answers;
static ktime_t answered; /* or asked */

void bell_close(void)
{
	mutex_lock(&lock);
	closed = true;
	again = false;
	if (bell)
		bell->close();
	mutex_unlock(&lock);
}

void bell_open(void)
{
	mutex_lock(&lock);
	closed = false;
	again = true;
	mutex_unlock(&lock);
	poll_kick();
}

void bell_open_again(void)
{
	bool opened;

	mutex_lock(&lock);
	opened = again;
	again = false;
	if (opened && bell)
		bell->open();
	mutex_unlock(&lock);
	if (opened)
		poll_kick();
}

void bell_reopen(void)
{
	mutex_lock(&lock);
	again = !closed;
	mutex_unlock(&lock);
	poll_kick();
}

void bell_beat(void)
{
	WRITE_ONCE(heartbeat->beats, heartbeat->beats + 1);
}

bool bell_is_unanswered(void)
{
	ktime_t now = ktime_get();
	u32 seen = READ_ONCE(heartbeat->answers);
	bool unanswered = seen == answers && ktime_ms_delta(now, answered) >= UNANSWERED_MS;

	if (seen != answers || unanswered)
		answered = now;
	answers = seen;
	return unanswered;
}

u64 bell_heartbeat(void)
{
	return virt_to_phys(heartbeat);
}

int bell_init(void)
{
	heartbeat = kzalloc(sizeof(*heartbeat), GFP_KERNEL);
	return heartbeat ? 0 : -ENOMEM;
}

void bell_start(void)
{
	const struct bell_ops *ops = mailbox_bell_line() ? &line_bell : &cpu_bells;
	int err;

	mutex_lock(&lock);
	err = ops->start();
	bell = err ? NULL : ops;
	if (bell && closed)
		bell->close();
	mutex_unlock(&lock);
	if (err && err != -EOPNOTSUPP)
		pr_warn("the monitor cannot ring this kernel (error %d): the agent polls instead\n",
			err);
}

void bell_stop(void)
{
	mutex_lock(&lock);
	if (bell)
		bell->stop();
	bell = NULL;
	mutex_unlock(&lock);
}

void bell_exit(void)
{
	kfree(heartbeat);
}
