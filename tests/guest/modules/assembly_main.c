// SPDX-License-Identifier: GPL-2.0-only
/*
 * Functions written in assembly, to be patched: two of this module (in assembly_x86.S and the
 * like), and one of vmlinux. Reading the parameter `values` calls those that return; writing 1 to
 * `nap` has a thread sleep below the other, 0 wakes it.
 */
#include <linux/io.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/wait.h>

int assembly_twice(int n);
int assembly_nap(void);
int assembly_sleep(void);

static DECLARE_WAIT_QUEUE_HEAD(queue);
static struct task_struct *thread;

/* called by assembly_nap() */
__visible noinline int assembly_sleep(void)
{
	wait_event(queue, kthread_should_stop());
	return 0;
}

static int values_get(char *buffer, const struct kernel_param *kp)
{
	u32 from[2] = {3, 4}, to[2] = {};

	/* x86 has it in assembly, arm64 in C: both take any memory */
	__iowrite32_copy((void __iomem *)to, from, 2);
	return scnprintf(buffer, PAGE_SIZE, "twice 21 is %d, copied %u %u\n", assembly_twice(21),
			 to[0], to[1]);
}

static const struct kernel_param_ops values_ops = {.get = values_get};
module_param_cb(values, &values_ops, NULL, 0444);

static int nap_thread(void *unused)
{
	return assembly_nap();
}

static int nap_set(const char *value, const struct kernel_param *kp)
{
	struct task_struct *task;
	bool on;
	int err = kstrtobool(value, &on);

	if (err || on == !!thread)
		return err ? err : -EINVAL;
	if (on) {
		task = kthread_run(nap_thread, NULL, "assembly_nap");
		if (IS_ERR(task))
			return PTR_ERR(task);
		thread = task;
		return 0;
	}
	kthread_stop(thread);
	thread = NULL;
	return 0;
}

static const struct kernel_param_ops nap_ops = {.set = nap_set};
module_param_cb(nap, &nap_ops, NULL, 0200);

static int __init assembly_init(void)
{
	return 0;
}

static void __exit assembly_exit(void)
{
}

module_init(assembly_init);
module_exit(assembly_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Functions in assembly, for tests of patches");
