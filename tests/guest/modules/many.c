// SPDX-License-Identifier: GPL-2.0-only
/*
 * As many functions as a patch can change: many_000() to many_777(), octal, each of which returns
 * its number. Reading /proc/many shows the sum.
 */
#include <linux/module.h>

#include "proc_file.h"

#define ONE(n)                                                                                     \
	static __attribute__((noipa)) int many_##n(void)                                           \
	{                                                                                          \
		barrier();                                                                         \
		return 0##n;                                                                       \
	}
#define CALL(n) sum += many_##n();

#define EIGHT(what, n)                                                                             \
	what(n##0) what(n##1) what(n##2) what(n##3) what(n##4) what(n##5) what(n##6) what(n##7)
#define EIGHT_EIGHTS(what, n)                                                                      \
	EIGHT(what, n##0)                                                                          \
	EIGHT(what, n##1)                                                                          \
	EIGHT(what, n##2)                                                                          \
	EIGHT(what, n##3)                                                                          \
	EIGHT(what, n##4)                                                                          \
	EIGHT(what, n##5)                                                                          \
	EIGHT(what, n##6)                                                                          \
	EIGHT(what, n##7)
#define ALL(what)                                                                                  \
	EIGHT_EIGHTS(what, 0)                                                                      \
	EIGHT_EIGHTS(what, 1)                                                                      \
	EIGHT_EIGHTS(what, 2)                                                                      \
	EIGHT_EIGHTS(what, 3)                                                                      \
	EIGHT_EIGHTS(what, 4)                                                                      \
	EIGHT_EIGHTS(what, 5)                                                                      \
	EIGHT_EIGHTS(what, 6)                                                                      \
	EIGHT_EIGHTS(what, 7)

ALL(ONE)

static int many_show(struct seq_file *m, void *v)
{
	int sum = 0;

	ALL(CALL)
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
