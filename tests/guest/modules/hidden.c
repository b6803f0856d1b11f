// SPDX-License-Identifier: GPL-2.0-only
/*
 * Functions in which a thread can be without an address of theirs on its stack, or without being on
 * the list of tasks. Writing the name of one to /proc/hidden starts a thread in it, "wake" ends
 * that; reading calls them all, and tells how many of them are the original.
 */
#include <linux/module.h>
#include <linux/rculist.h>
#include <linux/sched/signal.h>

#include "proc_file.h"
#include "thread.h"

static struct task_struct *rival;

/*
 * The compiler puts what leads to a cold function into hidden_cold.cold. It aligns no cold
 * function, but ftrace of arm64 reads a pointer in front of each from 6.4 on.
 */
static __attribute__((cold, noipa, aligned(8))) void hidden_sleep_cold(void)
{
	wait_event(queue, READ_ONCE(awake));
}

static __attribute__((noipa)) int hidden_cold(void)
{
	if (!READ_ONCE(awake)) {
		hidden_sleep_cold();
		barrier();
	}
	return 1;
}

/* The only address of hidden_outer() on the stack is where hidden_inner() returns to. */
static __attribute__((noipa)) int hidden_inner(void)
{
	wait_event(queue, READ_ONCE(awake));
	return 1;
}

static __attribute__((noipa)) int hidden_outer(void)
{
	int n = hidden_inner();

	barrier();
	return n;
}

/* A patch makes it sleep somewhere else. */
static __attribute__((noipa)) int hidden_tail(void)
{
	return 1;
}

/* Like a task that exits: not on the list any more, and preempted again and again. */
static __attribute__((noipa)) int hidden_off_list(void)
{
	/* room for the redirect before cond_resched(), which the kernel rewrites */
	asm volatile(".rept 16\n\tnop\n.endr");
	while (!READ_ONCE(awake))
		cond_resched();
	barrier();
	return 1;
}

static int run_off_list(void *unused)
{
	int n;

	/* only tests have nothing else going on that could be on its way along the list */
	list_del_rcu(&current->tasks);
	n = hidden_off_list();
	list_add_tail_rcu(&current->tasks, &init_task.tasks);
	return thread_end(n);
}

static int run_rival(void *unused)
{
	while (!kthread_should_stop())
		cond_resched();
	return 0;
}

static int run(void *function)
{
	int (*fn)(void) = function;

	return thread_end(fn());
}

static void hidden_wake(void)
{
	if (rival)
		kthread_stop(rival);
	rival = NULL;
	thread_wake();
}

/* The thread and its rival share CPU 0. */
static int start_off_list(void)
{
	int err = thread_start(run_off_list, NULL, "hidden", 0);
	struct task_struct *task;

	if (err)
		return err;
	task = kthread_create(run_rival, NULL, "rival");
	if (IS_ERR(task)) {
		thread_wake();
		return PTR_ERR(task);
	}
	kthread_bind(task, 0);
	wake_up_process(task);
	rival = task;
	return 0;
}

static int hidden_show(struct seq_file *m, void *v)
{
	seq_printf(m, "%d %d %d %d\n", hidden_cold(), hidden_outer(), hidden_tail(),
		   hidden_off_list());
	return 0;
}

static int hidden_command(const char *word)
{
	if (!strcmp(word, "off_list"))
		return start_off_list();
	if (!strcmp(word, "cold"))
		return thread_start(run, hidden_cold, "hidden", 0);
	if (!strcmp(word, "outer"))
		return thread_start(run, hidden_outer, "hidden", 0);
	if (!strcmp(word, "tail"))
		return thread_start(run, hidden_tail, "hidden", 0);
	if (strcmp(word, "wake"))
		return -EINVAL;
	hidden_wake();
	return 0;
}

DEFINE_PROC_FILE(hidden);

static int __init hidden_init(void)
{
	return proc_create("hidden", 0600, NULL, &hidden_ops) ? 0 : -ENOMEM;
}

static void __exit hidden_exit(void)
{
	remove_proc_entry("hidden", NULL);
	hidden_wake();
}

module_init(hidden_init);
module_exit(hidden_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Functions that hide, for tests of the consistency check");
