/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A module to be patched. Reading the parameter `values` calls its functions. `busy` 1 starts a
 * kernel thread that stays in target_wait() until `busy` 0; the module cannot be unloaded
 * meanwhile.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/sched.h>

static int init_ret;
module_param(init_ret, int, 0444);
MODULE_PARM_DESC(init_ret, "what init returns");

/* The functions must be there under their names, and be on the stack while they run. */
static __attribute__((noipa)) int target_first(void)
{
	barrier();
	return 1;
}

static __attribute__((noipa)) int target_second(void)
{
	barrier();
	return 2;
}

static __attribute__((noipa)) int target_wait(void)
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

static int at_init;
module_param(at_init, int, 0444);
MODULE_PARM_DESC(at_init, "what target_first() returned when init ran");

static int values_get(char *buffer, const struct kernel_param *kp)
{
	return scnprintf(buffer, PAGE_SIZE, "%d %d\n", target_first(), target_second());
}

static const struct kernel_param_ops values_ops = {.get = values_get};
module_param_cb(values, &values_ops, NULL, 0444);

static struct task_struct *thread;
static bool in_wait;

static int busy_thread(void *unused)
{
	WRITE_ONCE(in_wait, true);
	return target_wait();
}

static int busy_start(void)
{
	struct task_struct *task = kthread_create(busy_thread, NULL, KBUILD_MODNAME "_busy");

	if (IS_ERR(task))
		return PTR_ERR(task);
	__module_get(THIS_MODULE);
	thread = task;
	WRITE_ONCE(in_wait, false);
	wake_up_process(thread);
	while (!READ_ONCE(in_wait))
		schedule_timeout_uninterruptible(1);
	return 0;
}

static void busy_stop(void)
{
	kthread_stop(thread);
	thread = NULL;
	module_put(THIS_MODULE);
}

static int busy_set(const char *value, const struct kernel_param *kp)
{
	bool on;
	int err = kstrtobool(value, &on);

	if (err || on == !!thread)
		return err ? err : -EINVAL;
	if (on)
		return busy_start();
	busy_stop();
	return 0;
}

static int busy_get(char *buffer, const struct kernel_param *kp)
{
	return scnprintf(buffer, PAGE_SIZE, "%d\n", !!thread);
}

static const struct kernel_param_ops busy_ops = {.set = busy_set, .get = busy_get};
module_param_cb(busy, &busy_ops, NULL, 0644);

static int __init target_init(void)
{
	at_init = target_first();
	pr_info("init\n");
	return init_ret;
}

static void __exit target_exit(void)
{
	pr_info("exit\n");
}

module_init(target_init);
module_exit(target_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("A target of the differential test");
