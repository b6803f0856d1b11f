// SPDX-License-Identifier: GPL-2.0-only
/*
 * Functions in which a thread can be without an address of theirs on its stack, or without being on
 * the list of tasks. Writing the name of one to /proc/hidden starts a thread in it, "wake" ends
 * that; reading calls them all, and tells how many of them are the original.
 */
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/rculist.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/uaccess.h>
#include <linux/wait.h>

static DECLARE_WAIT_QUEUE_HEAD(queue);
static struct task_struct *thread, *rival;
static bool awake = true;

/* The compiler puts what leads to a cold function into hidden_cold.cold. */
static __attribute__((cold, noipa)) void hidden_sleep_cold(void)
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
	asm volatile(".skip 16, 0x90");
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
	wait_event(queue, kthread_should_stop());
	return n;
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
	int n = fn();

	wait_event(queue, kthread_should_stop());
	return n;
}

static void hidden_wake(void)
{
	WRITE_ONCE(awake, true);
	wake_up_all(&queue);
	if (rival)
		kthread_stop(rival);
	if (thread)
		kthread_stop(thread);
	thread = rival = NULL;
}

static struct task_struct *start(int (*fn)(void *), void *arg, const char *name)
{
	struct task_struct *task = kthread_create(fn, arg, "%s", name);

	if (IS_ERR(task))
		return NULL;
	kthread_bind(task, 0);
	wake_up_process(task);
	return task;
}

static int hidden_show(struct seq_file *m, void *v)
{
	seq_printf(m, "%d %d %d %d\n", hidden_cold(), hidden_outer(), hidden_tail(),
		   hidden_off_list());
	return 0;
}

static int hidden_open(struct inode *inode, struct file *file)
{
	return single_open(file, hidden_show, NULL);
}

static ssize_t hidden_write(struct file *file, const char __user *text, size_t len, loff_t *pos)
{
	char word[12] = "";

	if (copy_from_user(word, text, min(len, sizeof(word) - 1)))
		return -EFAULT;
	strim(word);
	if (!strcmp(word, "wake")) {
		hidden_wake();
		return len;
	}
	if (thread)
		return -EBUSY;
	WRITE_ONCE(awake, false);
	if (!strcmp(word, "cold"))
		thread = start(run, hidden_cold, "hidden");
	else if (!strcmp(word, "outer"))
		thread = start(run, hidden_outer, "hidden");
	else if (!strcmp(word, "tail"))
		thread = start(run, hidden_tail, "hidden");
	else if (!strcmp(word, "off_list"))
		thread = start(run_off_list, NULL, "hidden");
	if (!strcmp(word, "off_list"))
		rival = start(run_rival, NULL, "rival");
	if (!thread)
		WRITE_ONCE(awake, true);
	return thread ? len : -EINVAL;
}

static const struct proc_ops hidden_ops = {
	.proc_open = hidden_open,
	.proc_read = seq_read,
	.proc_lseek = seq_lseek,
	.proc_release = single_release,
	.proc_write = hidden_write,
};

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
