// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls of the firmware, for test_psci.py: `smc FUNCTION [X1 [X2 [X3]]]` or `hvc ...`, numbers in
 * hex, written to /proc/calls. Reading it shows what the last call has returned in x0. `psci STATE`
 * suspends the CPU as Linux's cpuidle driver does.
 */
#include <linux/arm-smccc.h>
#include <linux/irqflags.h>
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/uaccess.h>

#include "symbol.h"

static unsigned long answer;
static int (*suspend_enter)(u32 state);

static long suspend(u32 state)
{
	unsigned long flags;
	long result;

	local_irq_save(flags);
	result = suspend_enter(state);
	local_irq_restore(flags);
	return result;
}

static ssize_t write_call(struct file *file, const char __user *text, size_t len, loff_t *pos)
{
	unsigned long long x[4] = {0};
	struct arm_smccc_res res;
	char line[96], kind[5];

	if (len >= sizeof(line) || copy_from_user(line, text, len))
		return -EINVAL;
	line[len] = 0;
	if (sscanf(line, "%4s %llx %llx %llx %llx", kind, &x[0], &x[1], &x[2], &x[3]) < 2)
		return -EINVAL;
	if (!strcmp(kind, "psci"))
		res.a0 = suspend((u32)x[0]);
	else if (!strcmp(kind, "hvc"))
		arm_smccc_hvc(x[0], x[1], x[2], x[3], 0, 0, 0, 0, &res);
	else
		arm_smccc_smc(x[0], x[1], x[2], x[3], 0, 0, 0, 0, &res);
	answer = res.a0;
	return (ssize_t)len;
}

static ssize_t read_answer(struct file *file, char __user *text, size_t len, loff_t *pos)
{
	char line[24];
	int n = snprintf(line, sizeof(line), "%ld\n", (long)answer);

	return simple_read_from_buffer(text, len, pos, line, n);
}

static const struct proc_ops ops = {.proc_write = write_call, .proc_read = read_answer};

static int __init calls_init(void)
{
	suspend_enter = symbol("psci_cpu_suspend_enter");
	if (!suspend_enter)
		return -ENOENT;
	return proc_create("calls", 0600, NULL, &ops) ? 0 : -ENOMEM;
}
module_init(calls_init);

static void __exit calls_exit(void)
{
	remove_proc_entry("calls", NULL);
}
module_exit(calls_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Calls of the firmware");
