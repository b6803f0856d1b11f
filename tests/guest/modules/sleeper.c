// SPDX-License-Identifier: GPL-2.0-only
/*
 * A module to be patched. Reading /proc/sleeper calls sleeper_value(). Writing "sleep" there
 * starts a kernel thread that sleeps in sleeper_wait(), "wake" lets it go on and end. Who reads
 * /proc/sleeper_nap sleeps in sleeper_nap(), for ever, until a signal comes.
 */
#include <linux/module.h>

#include "proc_file.h"
#include "thread.h"

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
	return thread_end(sleeper_wait());
}

static int sleeper_show(struct seq_file *m, void *v)
{
	seq_printf(m, "value %d\n", sleeper_value(0));
	return 0;
}

static int sleeper_command(const char *word)
{
	if (!strcmp(word, "sleep"))
		return thread_start(sleeper_thread, NULL, "sleeper", -1);
	if (strcmp(word, "wake"))
		return -EINVAL;
	thread_wake();
	return 0;
}

DEFINE_PROC_FILE(sleeper);

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
	thread_wake();
}

module_init(sleeper_init);
module_exit(sleeper_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("A module for tests of patches");
