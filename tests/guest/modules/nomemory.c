// SPDX-License-Identifier: GPL-2.0-only
/*
 * A kernel out of memory, at a place of the test's choice: what CONFIG_FAILSLAB does in kernels
 * that have it. "FIRST LAST" written to /proc/nomemory makes the allocations FIRST to LAST fail of
 * those that a task makes in the function named by the parameter, and in what it calls, each time.
 * Reading gives how many there were the last time, and how many have failed in all.
 */
#include <linux/gfp.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/uaccess.h>

static char *function = "suture_klp_enable_patch";
module_param(function, charp, 0444);

static struct task_struct *victim;
static unsigned int first, last, made, failed;

static int entered(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	if (!READ_ONCE(last))
		return 1; /* its return is of no interest */
	made = 0;
	WRITE_ONCE(victim, current);
	return 0;
}

static int left(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	WRITE_ONCE(victim, NULL);
	return 0;
}

static struct kretprobe bracket = {.entry_handler = entered, .handler = left, .maxactive = 8};

/* Entered in place of should_failslab(), whose caller it returns to. */
static noinline notrace int out_of_memory_now(void)
{
	return -ENOMEM;
}

static int allocated(struct kprobe *probe, struct pt_regs *regs)
{
	gfp_t gfp = regs_get_kernel_argument(regs, 1);

	if (READ_ONCE(victim) != current || !in_task() || gfp & __GFP_NOFAIL)
		return 0;
	made++;
	if (made < first || made > last)
		return 0;
	failed++;
	instruction_pointer_set(regs, (unsigned long)out_of_memory_now);
	return 1;
}
NOKPROBE_SYMBOL(allocated);

static struct kprobe allocation = {.symbol_name = "should_failslab", .pre_handler = allocated};

static ssize_t arm(struct file *file, const char __user *from, size_t size, loff_t *pos)
{
	char text[32] = "";

	if (size >= sizeof(text) || copy_from_user(text, from, size))
		return -EINVAL;
	if (sscanf(text, "%u %u", &first, &last) != 2)
		return -EINVAL;
	made = failed = 0;
	return size;
}

static int show(struct seq_file *m, void *v)
{
	seq_printf(m, "%u %u\n", made, failed);
	return 0;
}

static int nomemory_open(struct inode *inode, struct file *file)
{
	return single_open(file, show, NULL);
}

static const struct proc_ops nomemory_ops = {
	.proc_open = nomemory_open,
	.proc_read = seq_read,
	.proc_write = arm,
	.proc_release = single_release,
};

static int __init nomemory_init(void)
{
	int err;

	bracket.kp.symbol_name = function;
	err = register_kretprobe(&bracket);
	if (err)
		return err;
	err = register_kprobe(&allocation);
	if (!err && !proc_create("nomemory", 0600, NULL, &nomemory_ops)) {
		unregister_kprobe(&allocation);
		err = -ENOMEM;
	}
	if (err)
		unregister_kretprobe(&bracket);
	return err;
}

static void __exit nomemory_exit(void)
{
	remove_proc_entry("nomemory", NULL);
	unregister_kprobe(&allocation);
	unregister_kretprobe(&bracket);
}

module_init(nomemory_init);
module_exit(nomemory_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Test module: allocations that fail");
