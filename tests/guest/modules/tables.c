// SPDX-License-Identifier: GPL-2.0-only
/* A module with static keys that are read-only when its init is done. */
#include <linux/jump_label.h>
#include <linux/module.h>

extern struct static_key_false tables_exported_key;

static DEFINE_STATIC_KEY_FALSE_RO(tables_ro_key);
/* for kernels whose kallsyms has no variables */
DEFINE_STATIC_KEY_FALSE_RO(tables_exported_key);
EXPORT_SYMBOL_GPL(tables_exported_key);

static int __init tables_init(void)
{
	if (static_branch_unlikely(&tables_ro_key))
		pr_info("the key is on\n");
	return 0;
}

static void __exit tables_exit(void)
{
	if (static_branch_unlikely(&tables_ro_key))
		pr_info("the key is on\n");
}

module_init(tables_init);
module_exit(tables_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("A module with static keys that are read-only when its init is done");
