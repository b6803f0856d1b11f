// SPDX-License-Identifier: GPL-2.0-only
/*
 * Functions that the kernel rewrites while it runs. Reading /proc/rewritten calls them all; writing
 * "key 0", "key 1", "call 0" or "call 1" there switches the static key or the static call.
 */
#include <linux/jump_label.h>
#include <linux/module.h>
#include <linux/static_call.h>

#include "proc_file.h"

static DEFINE_STATIC_KEY_FALSE(key);

static __attribute__((noipa)) int rewritten_plus_0(int n)
{
	barrier();
	return n;
}

static __attribute__((noipa)) int rewritten_plus_100(int n)
{
	barrier();
	return n + 100;
}

DEFINE_STATIC_CALL(rewritten_call, rewritten_plus_0);

/* Nothing of it is rewritten but what a tracer or probe wants. */
static __attribute__((noipa)) int rewritten_plain(int n)
{
	barrier();
	return n + 1;
}

/*
 * The static key is where a jump over the entry would be. Only behind it something is called: on
 * arm64 a function that calls nothing signs its return address in front of the key.
 */
static __attribute__((noipa)) int rewritten_key_first(int n)
{
	if (static_branch_unlikely(&key))
		return rewritten_plain(n) + 2;
	return n + 2;
}

/* So is the static call, and three bytes before it, or nothing. */
static __attribute__((noipa)) int rewritten_call_near(int n)
{
	return static_call(rewritten_call)(n + 1);
}

static __attribute__((noipa)) int rewritten_call_first(int n)
{
	return static_call(rewritten_call)(n);
}

/* Its first instruction has a lock prefix, which a kernel with one CPU takes away. */
static __attribute__((noipa)) int rewritten_locked(int n)
{
	static atomic_t calls;

	atomic_inc(&calls);
	return n + 4;
}

/* The static key and the static call come later. */
static __attribute__((noipa)) int rewritten_key_later(int n)
{
	n = rewritten_plain(rewritten_plain(n) * 3 + 17);
	if (static_branch_unlikely(&key))
		n += 1000;
	return static_call(rewritten_call)(n);
}

/* On x86 the jump takes its first instruction and a part of the second. */
static __attribute__((noipa)) unsigned long rewritten_wide(void)
{
	unsigned long n;

#ifdef CONFIG_X86_64
	asm volatile("xor %k0, %k0\n\tadd $0x12345678, %0" : "=a"(n));
#else
	n = 0x12345678;
	barrier();
#endif
	return n;
}

static int rewritten_show(struct seq_file *m, void *v)
{
	seq_printf(m, "plain %d first %d later %d wide %lx near %d call %d locked %d\n",
		   rewritten_plain(0), rewritten_key_first(0), rewritten_key_later(0),
		   rewritten_wide(), rewritten_call_near(0), rewritten_call_first(0),
		   rewritten_locked(0));
	return 0;
}

static int rewritten_command(const char *line)
{
	if (!strcmp(line, "key 0"))
		static_branch_disable(&key);
	else if (!strcmp(line, "key 1"))
		static_branch_enable(&key);
	else if (!strcmp(line, "call 0"))
		static_call_update(rewritten_call, rewritten_plus_0);
	else if (!strcmp(line, "call 1"))
		static_call_update(rewritten_call, rewritten_plus_100);
	else
		return -EINVAL;
	return 0;
}

DEFINE_PROC_FILE(rewritten);

static int __init rewritten_init(void)
{
	return proc_create("rewritten", 0600, NULL, &rewritten_ops) ? 0 : -ENOMEM;
}

static void __exit rewritten_exit(void)
{
	remove_proc_entry("rewritten", NULL);
}

module_init(rewritten_init);
module_exit(rewritten_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Functions that the kernel rewrites");
