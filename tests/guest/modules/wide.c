// SPDX-License-Identifier: GPL-2.0-only
/*
 * A thousand functions, each on a page of its own: wide_0000() to wide_1777(), octal. Reading
 * /proc/wide shows the sum of their numbers.
 */
#include <linux/module.h>

#include "numbered.h"
#include "proc_file.h"

#define ONE(n)	NUMBERED(wide, n, __aligned(4096))
#define CALL(n) sum += wide_##n();

THOUSAND(ONE)

static int wide_show(struct seq_file *m, void *v)
{
	int sum = 0;

	THOUSAND(CALL)
	seq_printf(m, "%d\n", sum);
	return 0;
}

static int wide_command(const char *line)
{
	return -EINVAL;
}

DEFINE_PROC_FILE(wide);

static int __init wide_init(void)
{
	return proc_create("wide", 0600, NULL, &wide_ops) ? 0 : -ENOMEM;
}

static void __exit wide_exit(void)
{
	remove_proc_entry("wide", NULL);
}

module_init(wide_init);
module_exit(wide_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("A thousand functions, each on a page of its own");
