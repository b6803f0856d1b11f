// SPDX-License-Identifier: GPL-2.0-only
/*
 * The smallest patch: another /proc/cmdline. It is what Linux's own livepatch sample does, and the
 * source has nothing of Suture in it.
 */
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/livepatch.h>
#include <linux/seq_file.h>

static int hello_cmdline_proc_show(struct seq_file *m, void *v)
{
	seq_puts(m, "hello from a live patch\n");
	return 0;
}

static struct klp_func funcs[] = {
	{
		.old_name = "cmdline_proc_show",
		.new_func = hello_cmdline_proc_show,
	},
	{},
};

static struct klp_object objs[] = {
	{
		/* no name: vmlinux */
		.funcs = funcs,
	},
	{},
};

static struct klp_patch patch = {
	.mod = THIS_MODULE,
	.objs = objs,
};

static int __init hello_init(void)
{
	return klp_enable_patch(&patch);
}

static void __exit hello_exit(void)
{
}

module_init(hello_init);
module_exit(hello_exit);
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");
MODULE_DESCRIPTION("Changes /proc/cmdline");
