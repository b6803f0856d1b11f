// SPDX-License-Identifier: GPL-2.0-only
/*
 * A patch that calls a static function of vmlinux and reads a static variable of it: most real
 * fixes must. They are declared as they are in the kernel's source, without `static`, and found
 * when the payload is loaded. /proc/version gets a second line.
 */
#include <linux/kernel.h>
#include <linux/kobject.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/utsname.h>

/* kernel/panic.c: static unsigned long tainted_mask */
extern unsigned long tainted_mask;

/* kernel/ksysfs.c: static, what /sys/kernel/fscaps shows */
ssize_t fscaps_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf);

/*
 * kernel/ksysfs.c: static, what /sys/kernel/profiling shows. Written with its object and position,
 * as one must where several functions have the same name.
 */
ssize_t first_profiling_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
	SUTURE_SYMBOL(vmlinux, profiling_show, 1);

static int static_version_proc_show(struct seq_file *m, void *v)
{
	char *page = (char *)get_zeroed_page(GFP_KERNEL);

	if (!page)
		return -ENOMEM;
	seq_printf(m, "%s version %s %s\n", utsname()->sysname, utsname()->release,
		   utsname()->version);
	fscaps_show(NULL, NULL, page);
	seq_printf(m, "tainted_mask %lu, fscaps %d", tainted_mask, page[0] == '1');
	first_profiling_show(NULL, NULL, page);
	seq_printf(m, ", profiling %d\n", page[0] == '1');
	free_page((unsigned long)page);
	return 0;
}

static struct klp_func funcs[] = {
	{
		.old_name = "version_proc_show",
		.new_func = static_version_proc_show,
	},
	{},
};

static struct klp_object objs[] = {
	{
		.funcs = funcs,
	},
	{},
};

static struct klp_patch patch = {
	.mod = THIS_MODULE,
	.objs = objs,
};

static int __init static_symbols_init(void)
{
	return klp_enable_patch(&patch);
}

static void __exit static_symbols_exit(void)
{
}

module_init(static_symbols_init);
module_exit(static_symbols_exit);
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");
MODULE_DESCRIPTION("Adds static things of the kernel to /proc/version");
