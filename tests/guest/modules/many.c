// SPDX-License-Identifier: GPL-2.0-only
/*
 * As many functions as a patch can change: many_0000() to many_7777(), octal. Reading /proc/many
 * shows the sum of their numbers.
 */
#include <linux/module.h>

#include "numbered.h"
#include "proc_file.h"

#define ONE(n)	NUMBERED(many, n, )
#define CALL(n) sum += many_##n();

ALL_NUMBERS(ONE)

static int many_show(struct seq_file *m, void *v)
{
	int sum = 0;

	ALL_NUMBERS(CALL)
	seq_printf(m, "%d\n", sum);
	return 0;
}

static int many_command(const char *line)
{
	return -EINVAL;
}

DEFINE_PROC_FILE(many);

static int __init many_init(void)
{
	return proc_create("many", 0600, NULL, &many_ops) ? 0 : -ENOMEM;
}

static void __exit many_exit(void)
{
	remove_proc_entry("many", NULL);
}

module_init(many_init);
module_exit(many_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("As many functions as a patch can change");
