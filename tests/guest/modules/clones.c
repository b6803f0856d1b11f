// SPDX-License-Identifier: GPL-2.0-only
/*
 * Functions that are called otherwise than by their names. Reading /proc/clones shows their
 * results: called by name, through a clone, and by address.
 */
#include <linux/module.h>

#include "proc_file.h"

/* As the compiler names what it splits off, whatever the compiler is. */
static int clones_value_part(void) asm("clones_value.part.0");

static __attribute__((noipa)) int clones_value_part(void)
{
	return 1;
}

static __attribute__((noipa)) int clones_value(void)
{
	int value = clones_value_part();

	barrier();
	return value;
}

static __attribute__((noipa)) int clones_beside(void)
{
	int value = clones_value_part();

	barrier();
	return value;
}

static __attribute__((noipa)) int clones_by_pointer(void)
{
	return 1;
}

static int (*const pointers[])(void) = {clones_by_pointer};

static __attribute__((noipa)) int clones_by_init(void)
{
	return 1;
}

/* Stays although it has no callers, as a function that is inlined everywhere may. */
static __used __attribute__((noipa)) int clones_unused(void)
{
	return 1;
}

static int clones_show(struct seq_file *m, void *v)
{
	seq_printf(m, "%d %d %d\n", clones_value(), clones_beside(), READ_ONCE(pointers[0])());
	return 0;
}

static int clones_command(const char *word)
{
	return -EINVAL;
}

DEFINE_PROC_FILE(clones);

static int __init clones_init(void)
{
	return clones_by_init() && proc_create("clones", 0600, NULL, &clones_ops) ? 0 : -ENOMEM;
}

static void __exit clones_exit(void)
{
	remove_proc_entry("clones", NULL);
}

module_init(clones_init);
module_exit(clones_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION(
	"Functions that are called beside their names, for tests of what is said of them");
