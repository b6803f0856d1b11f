// SPDX-License-Identifier: GPL-2.0-only
/*
 * Another user of a kernel function, as long as the module is there. kind=ipmodify: ftrace
 * operations that lead its callers to a function that returns 7; direct: a direct call that returns
 * at once; kprobe, kprobe_post: a probe at its entry that only counts, without and with a
 * post_handler.
 */
#include <linux/ftrace.h>
#include <linux/kprobes.h>
#include <linux/module.h>

#include "compat.h"

static char *kind = "", *function = "";
module_param(kind, charp, 0);
module_param(function, charp, 0);

static unsigned long hits;
module_param(hits, ulong, 0444);

static struct ftrace_ops ops;

/* ---- it leads elsewhere ---- */

static noinline int override_seven(void)
{
	hits++;
	return 7;
}

#ifdef CONFIG_DYNAMIC_FTRACE_WITH_REGS
#define FLAGS (FTRACE_OPS_FL_SAVE_REGS | FTRACE_OPS_FL_IPMODIFY | COMPAT_FTRACE_UNPROTECTED)

static void notrace override_redirect(struct ftrace_ops *o, struct pt_regs *regs)
{
	instruction_pointer_set(regs, (unsigned long)override_seven);
}

COMPAT_FTRACE_HANDLER(override_handler, override_redirect)
#else
#define FLAGS FTRACE_OPS_FL_IPMODIFY

/* What is saved is enough to lead elsewhere. */
static void notrace override_handler(unsigned long ip, unsigned long parent_ip,
				     struct ftrace_ops *o, struct ftrace_regs *fregs)
{
	ftrace_regs_set_instruction_pointer(fregs, (unsigned long)override_seven);
}
#endif

static int redirect(void)
{
	int err;

	ops.func = override_handler;
	ops.flags = FLAGS;
	err = ftrace_set_filter(&ops, function, strlen(function), 0);
	return err < 0 ? err : register_ftrace_function(&ops);
}

static void undo_redirect(void)
{
	unregister_ftrace_function(&ops);
}

/* ---- it looks ---- */

static int before(struct kprobe *p, struct pt_regs *regs)
{
	hits++;
	return 0;
}

static void after(struct kprobe *p, struct pt_regs *regs, unsigned long flags)
{
}

static struct kprobe probe = {.pre_handler = before};

static int probe_plain(void)
{
	probe.symbol_name = function;
	return register_kprobe(&probe);
}

static int probe_post(void)
{
	probe.post_handler = after;
	return probe_plain();
}

static void undo_probe(void)
{
	unregister_kprobe(&probe);
}

/* ---- it is called directly ---- */

#ifdef CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS

#ifdef CONFIG_ARM64
/* X9 is where the function returns to, and X30 where it goes on. */
#define BODY "bti c\n mov x10, x30\n mov x30, x9\n ret x10\n"
#elif defined(ASM_ENDBR)
#define BODY ASM_ENDBR ASM_RET
#else
#define BODY ASM_RET
#endif

void override_called(void);
asm(".pushsection .text\n"
    ".type override_called, %function\n"
    "override_called:\n" BODY ".size override_called, .-override_called\n"
    ".popsection");

static unsigned long called_from;

/* A probe finds the function's address: behind what a function may begin with. */
static int call_directly(void)
{
	int err = probe_plain();

	if (err)
		return err;
	called_from = (unsigned long)probe.addr;
	undo_probe();
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0)
	err = ftrace_set_filter_ip(&ops, called_from, 0, 0);
	return err ? err : register_ftrace_direct(&ops, (unsigned long)override_called);
#else
	return register_ftrace_direct(called_from, (unsigned long)override_called);
#endif
}

static void undo_call(void)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0)
	unregister_ftrace_direct(&ops, (unsigned long)override_called, true);
#else
	unregister_ftrace_direct(called_from, (unsigned long)override_called);
#endif
}

#endif

static const struct {
	const char *name;
	int (*begin)(void);
	void (*end)(void);
} kinds[] = {
	{"ipmodify", redirect, undo_redirect},
	{"kprobe", probe_plain, undo_probe},
	{"kprobe_post", probe_post, undo_probe},
#ifdef CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS
	{"direct", call_directly, undo_call},
#endif
};

static int kind_index(void)
{
	int i;

	for (i = 0; i < (int)ARRAY_SIZE(kinds); i++) {
		if (!strcmp(kinds[i].name, kind))
			return i;
	}
	return -EINVAL;
}

static int __init override_init(void)
{
	int i = kind_index();

	return i < 0 ? i : kinds[i].begin();
}

static void __exit override_exit(void)
{
	kinds[kind_index()].end();
}

module_init(override_init);
module_exit(override_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Another user of a function");
