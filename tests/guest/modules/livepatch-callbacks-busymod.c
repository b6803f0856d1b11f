// SPDX-License-Identifier: GPL-2.0-only
/* The busy target of document 001's Tests 8 and 9: its worker stays in a function that is patched.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/delay.h>
#include <linux/module.h>
#include <linux/workqueue.h>

static int sleep_secs;
module_param(sleep_secs, int, 0644);
MODULE_PARM_DESC(sleep_secs, "how long the worker stays in busymod_work_func()");

static void busymod_work_func(struct work_struct *work);
static DECLARE_WORK(work, busymod_work_func);

static noinline void busymod_work_func(struct work_struct *unused)
{
	pr_info("%s, sleeping %d seconds ...\n", __func__, sleep_secs);
	msleep(sleep_secs * 1000);
	pr_info("%s exit\n", __func__);
}

/* The messages that the document shows have the other module's function names. */
static int __init livepatch_callbacks_mod_init(void)
{
	pr_info("%s\n", __func__);
	schedule_work(&work);
	return 0;
}

static void __exit livepatch_callbacks_mod_exit(void)
{
	cancel_work_sync(&work);
	pr_info("%s\n", __func__);
}

module_init(livepatch_callbacks_mod_init);
module_exit(livepatch_callbacks_mod_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("The busy target of the callback tests");
