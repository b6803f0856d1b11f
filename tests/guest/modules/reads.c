// SPDX-License-Identifier: GPL-2.0-only
/*
 * Code that is read. Reading /proc/reads calls reads_plain() and shows its bytes, and the sum over
 * its page that a function makes which lies on that page itself; writing "time" there shows in the
 * kernel's log how long a load and a copy take.
 */
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/module.h>

#include "proc_file.h"

#define SHOWN 32
#define TIMED 200

static __attribute__((noipa, aligned(PAGE_SIZE))) int reads_plain(int n)
{
	barrier();
	return n * 3 + 1;
}

static const u8 *code(void)
{
	const void *at = reads_plain;

	OPTIMIZER_HIDE_VAR(at);
	return at;
}

/* On the same page. */
static __attribute__((noipa)) u64 reads_own_page(const volatile u64 *page)
{
	u64 sum = 0;
	int i;

	for (i = 0; i < PAGE_SIZE / sizeof(*page); i++)
		sum = sum * 31 + page[i];
	return sum;
}

static int reads_show(struct seq_file *m, void *v)
{
	unsigned long page = (unsigned long)code() & PAGE_MASK;
	u8 copy[SHOWN], bytes[SHOWN];
	int i;

	memcpy(copy, code(), SHOWN);
	for (i = 0; i < SHOWN; i++)
		bytes[i] = READ_ONCE(code()[i]);
	seq_printf(m, "at %lx bytes %*phN %s own %016llx %s result %d\n", (unsigned long)code(),
		   SHOWN, bytes, memcmp(copy, bytes, SHOWN) ? "differ" : "alike",
		   reads_own_page((const volatile u64 *)page),
		   ((unsigned long)reads_own_page & PAGE_MASK) == page ? "there" : "elsewhere",
		   reads_plain(2));
	return 0;
}

static int reads_command(const char *line)
{
	u64 start, load, copied;
	u8 to[64];
	int i;

	if (strcmp(line, "time"))
		return -EINVAL;
	start = ktime_get_ns();
	for (i = 0; i < TIMED; i++)
		(void)READ_ONCE(*(const u64 *)(code() + 8));
	load = ktime_get_ns() - start;
	start = ktime_get_ns();
	for (i = 0; i < TIMED; i++) {
		memcpy(to, code(), sizeof(to));
		barrier_data(to);
	}
	copied = ktime_get_ns() - start;
	pr_info("reads: a load takes %llu ns, a copy of %zu bytes %llu ns\n", load / TIMED,
		sizeof(to), copied / TIMED);
	return 0;
}

DEFINE_PROC_FILE(reads);

static int __init reads_init(void)
{
	return proc_create("reads", 0600, NULL, &reads_ops) ? 0 : -ENOMEM;
}

static void __exit reads_exit(void)
{
	remove_proc_entry("reads", NULL);
}

module_init(reads_init);
module_exit(reads_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Code that is read");
