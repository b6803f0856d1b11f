// SPDX-License-Identifier: GPL-2.0-only
/*
 * The patch of document 001's Tests 1 to 9: each callback of its three objects says that it runs,
 * and in what state the target module is.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kernel.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/workqueue.h>

static int pre_patch_ret;
module_param(pre_patch_ret, int, 0644);
MODULE_PARM_DESC(pre_patch_ret, "what pre_patch callbacks return");

static const char *const module_state[] = {
	[MODULE_STATE_LIVE] = "[MODULE_STATE_LIVE] Normal state",
	[MODULE_STATE_COMING] = "[MODULE_STATE_COMING] Full formed, running module_init",
	[MODULE_STATE_GOING] = "[MODULE_STATE_GOING] Going away",
	[MODULE_STATE_UNFORMED] = "[MODULE_STATE_UNFORMED] Still setting it up",
};

static void say(const char *callback, const struct klp_object *obj)
{
	if (obj->mod)
		pr_info("%s: %s -> %s\n", callback, obj->mod->name, module_state[obj->mod->state]);
	else
		pr_info("%s: vmlinux\n", callback);
}

static int pre_patch_callback(struct klp_object *obj)
{
	say(__func__, obj);
	return pre_patch_ret;
}

static void post_patch_callback(struct klp_object *obj)
{
	say(__func__, obj);
}

static void pre_unpatch_callback(struct klp_object *obj)
{
	say(__func__, obj);
}

static void post_unpatch_callback(struct klp_object *obj)
{
	say(__func__, obj);
}

static void patched_work_func(struct work_struct *work)
{
	pr_info("%s\n", __func__);
}

static struct klp_func no_funcs[] = {{}};

static struct klp_func busymod_funcs[] = {
	{.old_name = "busymod_work_func", .new_func = patched_work_func},
	{},
};

#define ALL_CALLBACKS                                                                              \
	{                                                                                          \
		.pre_patch = pre_patch_callback, .post_patch = post_patch_callback,                \
		.pre_unpatch = pre_unpatch_callback, .post_unpatch = post_unpatch_callback,        \
	}

static struct klp_object objs[] = {
	{.funcs = no_funcs, .callbacks = ALL_CALLBACKS},
	{.name = "livepatch_callbacks_mod", .funcs = no_funcs, .callbacks = ALL_CALLBACKS},
	{.name = "livepatch_callbacks_busymod", .funcs = busymod_funcs, .callbacks = ALL_CALLBACKS},
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
