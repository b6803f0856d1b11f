// SPDX-License-Identifier: GPL-2.0-only
/*
 * A first patch: what /proc/cmdline shows, and what uname(2) tells a user program. Plain livepatch
 * source.
 */
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/livepatch.h>
#include <linux/seq_file.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/utsname.h>

static int demo_cmdline_proc_show(struct seq_file *m, void *v)
{
	seq_puts(m, "this has been live patched\n");
	return 0;
}

static long demo_newuname(struct new_utsname __user *name)
{
	/*
	 * The kernel takes uts_sem here, against a change of the host's name meanwhile. This copy
	 * may have a part of each: Debian's 6.1 for arm64 does not tell where uts_sem is.
	 */
	struct new_utsname answer = *utsname();

	strscpy(answer.version, "live patched by Suture", sizeof(answer.version));
	return copy_to_user(name, &answer, sizeof(answer)) ? -EFAULT : 0;
}

static struct klp_func funcs[] = {
	{.old_name = "cmdline_proc_show", .new_func = demo_cmdline_proc_show},
	{.old_name = "__do_sys_newuname", .new_func = demo_newuname},
	{},
};

static struct klp_object objs[] = {
	{.funcs = funcs}, /* no name: vmlinux */
	{},
};

static struct klp_patch patch = {
	.mod = THIS_MODULE,
	.objs = objs,
};

static int __init demo_init(void)
{
	return klp_enable_patch(&patch);
}

static void __exit demo_exit(void)
{
}

module_init(demo_init);
module_exit(demo_exit);
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");
MODULE_DESCRIPTION("Changes /proc/cmdline and uname(2)");
