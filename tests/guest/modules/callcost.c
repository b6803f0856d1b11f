// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a call costs: reading /proc/callcost calls callcost_plain() a million times, which a patch
 * may replace, and shows the nanoseconds.
 */
#include <linux/ktime.h>
#include <linux/module.h>

#include "proc_file.h"

#define CALLS 1000000

static noinline int callcost_plain(int n)
{
	barrier();
	return n + 1;
}

static int callcost_show(struct seq_file *m, void *v)
{
	u64 start = ktime_get_ns();
	int i, n = 0;

	for (i = 0; i < CALLS; i++)
		n = callcost_plain(n);
	seq_printf(m, "%llu %d\n", ktime_get_ns() - start, n);
	return 0;
}

static int callcost_command(const char *line)
{
	return -EINVAL;
}

DEFINE_PROC_FILE(callcost);

static int __init callcost_init(void)
{
	return proc_create("callcost", 0600, NULL, &callcost_ops) ? 0 : -ENOMEM;
}

static void __exit callcost_exit(void)
{
	remove_proc_entry("callcost", NULL);
}

module_init(callcost_init);
module_exit(callcost_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("What a call costs");
