// SPDX-License-Identifier: GPL-2.0-only
/* threads=N: N kernel threads that sleep until the module is unloaded. */
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/vmalloc.h>

static int threads = 1;
module_param(threads, int, 0444);

static struct task_struct **all;
static int count;

static int throng_run(void *unused)
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

static void throng_end(void)
{
	while (count)
		kthread_stop(all[--count]);
	vfree(all);
}

static int __init throng_begin(void)
{
	if (threads < 1)
		return -EINVAL;
	all = vzalloc(array_size((size_t)threads, sizeof(*all)));
	if (!all)
		return -ENOMEM;
	while (count < threads) {
		struct task_struct *task = kthread_run(throng_run, NULL, "throng/%d", count);

		if (IS_ERR(task)) {
			throng_end();
			return PTR_ERR(task);
		}
		all[count++] = task;
	}
	return 0;
}

module_init(throng_begin);
module_exit(throng_end);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Kernel threads that sleep");
