// SPDX-License-Identifier: GPL-2.0-only
/* A module from which payloads take symbols: /proc/owner shows owner_value(). */
#include <linux/jump_label.h>
#include <linux/module.h>

#include "proc_file.h"

int owner_exported(int n);

static int owner_number = 7;
module_param_named(number, owner_number, int, 0644);

static DEFINE_STATIC_KEY_FALSE(owner_key);

static __attribute__((noipa)) int owner_secret(int n)
{
	return n * owner_number;
}

__attribute__((noipa)) int owner_exported(int n)
{
	return n + owner_number;
}
EXPORT_SYMBOL_GPL(owner_exported);

static __attribute__((noipa)) int owner_value(void)
{
	int value = owner_secret(1);

	if (static_branch_unlikely(&owner_key))
		value *= 2;
	return value;
}

static int owner_show(struct seq_file *m, void *v)
{
	seq_printf(m, "%d\n", owner_value());
	return 0;
}

static int owner_command(const char *line)
{
	if (!strcmp(line, "key 0"))
		static_branch_disable(&owner_key);
	else if (!strcmp(line, "key 1"))
		static_branch_enable(&owner_key);
	else
		return -EINVAL;
	return 0;
}

DEFINE_PROC_FILE(owner);

static __attribute__((noipa)) int __init owner_early(int n)
{
	return n + 1;
}

static int __init owner_init(void)
{
	return owner_early(0) && proc_create("owner", 0600, NULL, &owner_ops) ? 0 : -ENOMEM;
}

static void __exit owner_exit(void)
{
	remove_proc_entry("owner", NULL);
}

module_init(owner_init);
module_exit(owner_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("A module from which payloads take symbols");
