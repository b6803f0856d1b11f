// SPDX-License-Identifier: GPL-2.0-only
/*
 * A patch of Linux's own livepatch: of cmdline_proc_show(), or, with module=hidden, of that
 * module's hidden_tail(). It goes as Linux's patches do: write 0 to its `enabled`, then unload it.
 */
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/seq_file.h>

static char *module = "";
module_param(module, charp, 0);

static int native_show(struct seq_file *m, void *v)
{
	seq_puts(m, "native\n");
	return 0;
}

static int native_tail(void)
{
	return 8;
}

static struct klp_func funcs[] = {{.old_name = "cmdline_proc_show", .new_func = native_show}, {}};
static struct klp_func hidden_funcs[] = {{.old_name = "hidden_tail", .new_func = native_tail}, {}};
static struct klp_object objs[] = {{.funcs = funcs}, {}};
static struct klp_patch patch = {.mod = THIS_MODULE, .objs = objs};

static int __init native_init(void)
{
	if (*module) {
		objs[0].name = module;
		objs[0].funcs = hidden_funcs;
	}
	return klp_enable_patch(&patch);
}

static void __exit native_exit(void)
{
}

module_init(native_init);
module_exit(native_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("A patch of Linux's own livepatch");
MODULE_INFO(livepatch, "Y");
