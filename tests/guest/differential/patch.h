/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A patch that its parameters make: which functions, objects, callbacks and states it has, and what
 * its callbacks return. Built twice from this source, against the kernel's linux/livepatch.h and
 * against the agent's. NUMBER: of the patch, from 1.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kernel.h>
#include <linux/kthread.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/seq_file.h>

static int tag;
module_param(tag, int, 0444);
MODULE_PARM_DESC(tag, "what tells this load of the patch from others");

static unsigned int funcs;
module_param(funcs, uint, 0444);
MODULE_PARM_DESC(funcs, "bits: which entries of all_funcs it has");

static unsigned int objects;
module_param(objects, uint, 0444);
MODULE_PARM_DESC(objects, "bits: which objects it has even without functions");

static unsigned int callbacks;
module_param(callbacks, uint, 0444);
MODULE_PARM_DESC(callbacks, "four bits for each object: which callbacks it has");

static int pre_patch_ret[3];
module_param_array(pre_patch_ret, int, NULL, 0644);
MODULE_PARM_DESC(pre_patch_ret, "what pre_patch of each object returns");

static bool replace;
module_param(replace, bool, 0444);
MODULE_PARM_DESC(replace, "atomic replace");

static unsigned int versions[2];
module_param_array(versions, uint, NULL, 0444);
MODULE_PARM_DESC(versions, "of states 1 and 2; 0: it has not that state");

/* ---- the new functions ---- */

static int new_cmdline_proc_show(struct seq_file *m, void *v)
{
	seq_printf(m, "diff %d.%d\n", NUMBER, tag);
	return 0;
}

static int new_version_proc_show(struct seq_file *m, void *v)
{
	seq_printf(m, "diff %d.%d\n", NUMBER, tag);
	return 0;
}

static noinline int new_first(void)
{
	return NUMBER * 100000 + tag * 10 + 1;
}

static noinline int new_second(void)
{
	return NUMBER * 100000 + tag * 10 + 2;
}

/* Whoever comes here is as busy as in the original. */
static noinline int new_wait(void)
{
	for (;;) {
		set_current_state(TASK_IDLE);
		if (kthread_should_stop())
			break;
		schedule();
	}
	__set_current_state(TASK_RUNNING);
	return 0;
}

/* ---- the callbacks ---- */

static struct klp_object objs[4];
static struct klp_state states[3];
static struct klp_patch patch;

static int object_index(const struct klp_object *obj)
{
	return obj->name ? obj->name[6] - '0' : 0; /* diff_t1, diff_t2 */
}

static void say(const char *callback, const struct klp_object *obj)
{
	struct klp_state *first, *second;

	if (obj->name) {
		pr_info("%s %s, module state %d\n", callback, obj->name, obj->mod->state);
		return;
	}
	/* only within a transition, which vmlinux's callbacks always are */
	first = klp_get_prev_state(1);
	second = klp_get_prev_state(2);
	pr_info("%s vmlinux, previous states %u %u\n", callback, first ? first->version : 0,
		second ? second->version : 0);
}

static int pre_patch(struct klp_object *obj)
{
	say(__func__, obj);
	return pre_patch_ret[object_index(obj)];
}

static void post_patch(struct klp_object *obj)
{
	say(__func__, obj);
}

static void pre_unpatch(struct klp_object *obj)
{
	say(__func__, obj);
}

static void post_unpatch(struct klp_object *obj)
{
	say(__func__, obj);
}

/* ---- making the patch ---- */

static const struct {
	int object;
	const char *name;
	void *func;
} all_funcs[] = {
	{0, "cmdline_proc_show", new_cmdline_proc_show},
	{0, "version_proc_show", new_version_proc_show},
	{1, "target_first", new_first},
	{1, "target_second", new_second},
	{1, "target_wait", new_wait},
	{2, "target_first", new_first},
	{2, "target_second", new_second},
	{2, "target_wait", new_wait},
	{0, "no_such_function", new_first},
	{2, "no_such_function", new_first},
};

static struct klp_func tables[3][ARRAY_SIZE(all_funcs) + 1];

static void make_object(struct klp_object *obj, unsigned int index)
{
	static const char *const names[] = {NULL, "diff_t1", "diff_t2"};
	const unsigned int bits = callbacks >> (4 * index);

	obj->name = names[index];
	obj->funcs = tables[index];
	obj->callbacks.pre_patch = bits & 1 ? pre_patch : NULL;
	obj->callbacks.post_patch = bits & 2 ? post_patch : NULL;
	obj->callbacks.pre_unpatch = bits & 4 ? pre_unpatch : NULL;
	obj->callbacks.post_unpatch = bits & 8 ? post_unpatch : NULL;
}

static void make_patch(void)
{
	unsigned int i, n[3] = {}, nr_objs = 0, nr_states = 0;

	for (i = 0; i < ARRAY_SIZE(all_funcs); i++) {
		const unsigned int object = all_funcs[i].object;

		if (!(funcs & BIT(i)))
			continue;
		tables[object][n[object]].old_name = all_funcs[i].name;
		tables[object][n[object]++].new_func = all_funcs[i].func;
	}
	for (i = 0; i < 3; i++) {
		if (n[i] || objects & BIT(i))
			make_object(&objs[nr_objs++], i);
	}
	for (i = 0; i < 2; i++) {
		if (!versions[i])
			continue;
		states[nr_states].id = i + 1;
		states[nr_states++].version = versions[i];
	}
	patch.mod = THIS_MODULE;
	patch.objs = objs;
	patch.states = nr_states ? states : NULL;
	patch.replace = replace;
}

static int __init patch_init(void)
{
	make_patch();
	return klp_enable_patch(&patch);
}

static void __exit patch_exit(void)
{
	pr_info("exit\n");
}

module_init(patch_init);
module_exit(patch_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("A patch of the differential test");
/* which a kernel without livepatch refuses */
#ifdef CONFIG_LIVEPATCH
MODULE_INFO(livepatch, "Y");
#endif
