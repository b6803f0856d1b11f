// SPDX-License-Identifier: GPL-2.0-only
/*
 * A module to be patched. Reading /proc/sleeper calls sleeper_value(). Writing "sleep" there
 * starts a kernel thread that sleeps in sleeper_wait(), "wake" lets it go on and end. Who reads
 * /proc/sleeper_nap sleeps in sleeper_nap(), for ever, until a signal comes.
 */
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/uaccess.h>
#include <linux/wait.h>

static DECLARE_WAIT_QUEUE_HEAD(queue);
static struct task_struct *thread;
static bool awake;

/* The functions must be there under their names, and be on the stack while they run. */
static __attribute__((noipa)) int sleeper_value(int n)
{
	int value = n + 1;

	barrier();
	return value;
}

static __attribute__((noipa)) int sleeper_wait(void)
{
	wait_event(queue, READ_ONCE(awake));
	barrier();
	return 0;
}

static __attribute__((noipa)) int sleeper_nap(void)
{
	static DECLARE_WAIT_QUEUE_HEAD(never);
	int err = wait_event_interruptible(never, false);

	barrier();
	return err ? err : 1;
}

static ssize_t sleeper_nap_read(struct file *file, char __user *to, size_t len, loff_t *pos)
{
	char text[16];
	int n = *pos ? 0 : sleeper_nap();

	if (n <= 0)
		return n;
	n = scnprintf(text, sizeof(text), "nap %d\n", n);
	*pos = 1;
	if (len < n || copy_to_user(to, text, n))
		return -EFAULT;
	return n;
}

static const struct proc_ops sleeper_nap_ops = {
	.proc_read = sleeper_nap_read,
};

static int sleeper_thread(void *unused)
{
	int status = sleeper_wait();

	/* kthread_stop() wants to find it */
	wait_event(queue, kthread_should_stop());
	return status;
}

static int sleeper_show(struct seq_file *m, void *v)
{
	seq_printf(m, "value %d\n", sleeper_value(0));
	return 0;
}

static int sleeper_open(struct inode *inode, struct file *file)
{
	return single_open(file, sleeper_show, NULL);
}

static void sleeper_wake(void)
{
	if (!thread)
		return;
	WRITE_ONCE(awake, true);
	wake_up_all(&queue);
	kthread_stop(thread);
	thread = NULL;
}

static ssize_t sleeper_write(struct file *file, const char __user *text, size_t len, loff_t *pos)
{
	char word[8] = "";

	if (copy_from_user(word, text, min(len, sizeof(word) - 1)))
		return -EFAULT;
	if (!strncmp(word, "wake", 4)) {
		sleeper_wake();
		return len;
	}
	if (strncmp(word, "sleep", 5) || thread)
		return -EINVAL;
	WRITE_ONCE(awake, false);
	thread = kthread_run(sleeper_thread, NULL, "sleeper");
	if (IS_ERR(thread)) {
		long error = PTR_ERR(thread);

		thread = NULL;
		return error;
	}
	return len;
}

static const struct proc_ops sleeper_ops = {
	.proc_open = sleeper_open,
	.proc_read = seq_read,
	.proc_lseek = seq_lseek,
	.proc_release = single_release,
	.proc_write = sleeper_write,
};

static int __init sleeper_init(void)
{
	if (!proc_create("sleeper", 0600, NULL, &sleeper_ops))
		return -ENOMEM;
	if (!proc_create("sleeper_nap", 0400, NULL, &sleeper_nap_ops)) {
		remove_proc_entry("sleeper", NULL);
		return -ENOMEM;
	}
	return 0;
}

static void __exit sleeper_exit(void)
{
	remove_proc_entry("sleeper_nap", NULL);
	remove_proc_entry("sleeper", NULL);
	sleeper_wake();
}

module_init(sleeper_init);
module_exit(sleeper_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("A module for tests of patches");
