// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stacks with stale words on them. Writing "sleep" to /proc/stale starts a kernel thread that
 * calls stale_value() once, and then sleeps in stale_wait() with the return address that was in
 * stale_value() on its stack; "spin" the same, but it runs instead; "hold" starts one that runs
 * with the parameter `word` in a register; "wake" ends it. Reading calls stale_value().
 */
#include <linux/module.h>

#include "proc_file.h"
#include "thread.h"

static bool spins;
static ulong word;
module_param(word, ulong, 0600);

static __attribute__((noipa)) void *stale_address(void)
{
	return __builtin_return_address(0);
}

/* Gives an address in itself, as a frame that is gone would leave it. */
static __attribute__((noipa)) int stale_value(int n, void **address)
{
	*address = stale_address();
	barrier();
	return n + 1;
}

/* No register that a call may change has an old address any more: a hit in one stands. */
static __attribute__((noipa)) void stale_forget(void)
{
#ifdef CONFIG_ARM64
	asm volatile("mov x0, xzr\n\tmov x1, xzr\n\tmov x2, xzr\n\tmov x3, xzr\n\t"
		     "mov x4, xzr\n\tmov x5, xzr\n\tmov x6, xzr\n\tmov x7, xzr\n\t"
		     "mov x8, xzr\n\tmov x9, xzr\n\tmov x10, xzr\n\tmov x11, xzr\n\t"
		     "mov x12, xzr\n\tmov x13, xzr\n\tmov x14, xzr\n\tmov x15, xzr\n\t"
		     "mov x16, xzr\n\tmov x17, xzr"
		     :
		     :
		     : "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11",
		       "x12", "x13", "x14", "x15", "x16", "x17");
#else
	asm volatile("xor %%eax, %%eax\n\txor %%ecx, %%ecx\n\txor %%edx, %%edx\n\t"
		     "xor %%esi, %%esi\n\txor %%edi, %%edi\n\txor %%r8d, %%r8d\n\t"
		     "xor %%r9d, %%r9d\n\txor %%r10d, %%r10d\n\txor %%r11d, %%r11d"
		     :
		     :
		     : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "cc");
#endif
}

static __attribute__((noipa)) int stale_wait(void *address)
{
	void *volatile words[16];
	int i;

	for (i = 0; i < 16; i++)
		words[i] = address;
	stale_forget();
	if (spins)
		while (!READ_ONCE(awake))
			cond_resched();
	wait_event(queue, READ_ONCE(awake));
	return !words[3]; /* not `address`: that would stay in a register */
}

static int stale_thread(void *unused)
{
	void *address;

	stale_value(0, &address);
	return thread_end(stale_wait(address));
}

static int hold_thread(void *unused)
{
	ulong held = READ_ONCE(word);

	while (!READ_ONCE(awake))
		asm volatile("" : "+r"(held));
	return thread_end(0);
}

static int stale_show(struct seq_file *m, void *v)
{
	void *address;

	seq_printf(m, "value %d\n", stale_value(0, &address));
	return 0;
}

static int stale_command(const char *command)
{
	if (!strcmp(command, "wake")) {
		thread_wake();
		return 0;
	}
	if (thread)
		return -EBUSY;
	if (!strcmp(command, "hold"))
		return thread_start(hold_thread, NULL, "stale", 1);
	spins = !strcmp(command, "spin");
	if (!spins && strcmp(command, "sleep"))
		return -EINVAL;
	return thread_start(stale_thread, NULL, "stale", -1);
}

DEFINE_PROC_FILE(stale);

static int __init stale_init(void)
{
	return proc_create("stale", 0600, NULL, &stale_ops) ? 0 : -ENOMEM;
}

static void __exit stale_exit(void)
{
	remove_proc_entry("stale", NULL);
	thread_wake();
}

module_init(stale_init);
module_exit(stale_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Stale words, for tests of the consistency check");
