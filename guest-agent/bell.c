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

static u32 *heartbeat;

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

void bell_beat(void)
{
	WRITE_ONCE(*heartbeat, *heartbeat + 1);
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
