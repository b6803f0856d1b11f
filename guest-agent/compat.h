/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * All that differs between kernels, and what kernels do not export. Only compat.c asks for a
 * kernel's version.
 */
#ifndef SUTURE_COMPAT_H
#define SUTURE_COMPAT_H

#include <linux/module.h>
#include <linux/sched.h>
#include <linux/version.h>
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 14, 0)
#include <linux/panic_notifier.h>
#endif
#include <suture/abi.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 11, 0)
/* BTF that later compilers may have written all the same */
#define BTF_KIND_FLOAT	  16
#define BTF_KIND_DECL_TAG 17
#define BTF_KIND_TYPE_TAG 18
#define BTF_KIND_ENUM64	  19

struct btf_enum64 {
	u32 name_off, low, high;
};
#endif

/* Find the kernel's unexported functions. -ENOENT: one is missing, the log names it. */
int compat_init(void);

/* The part of that in compat_symbols.c: what finds symbols. Before the others. */
int compat_symbols_init(void);

/* Functions of the kernel by name: where each one's address goes. -ENOENT: the log names it. */
struct compat_function {
	const char *name;
	void *function;
};
int compat_find(const struct compat_function *functions, unsigned int count);

/* The address of a symbol of vmlinux, per-CPU ones as their offset; 0 if there is none. */
unsigned long compat_symbol(const char *name);

/*
 * Call fn for each symbol of vmlinux (object "vmlinux"; if `kernel`, that is the long part) and of
 * all modules, in order. -ENOMEM. Sleeps.
 */
typedef void (*compat_symbol_fn)(void *data, const char *object, const char *name,
				 unsigned long address);
int compat_for_each_symbol(bool kernel, compat_symbol_fn fn, void *data);
/* The same for the symbols of one module. */
void compat_for_each_module_symbol(const char *module, compat_symbol_fn fn, void *data);
/* Does the kernel find its symbols of one name without looking at all others? */
bool compat_has_names(void);
/* If so: call fn for each symbol of vmlinux of that name, in order. */
void compat_for_each_named(const char *name, compat_symbol_fn fn, void *data);

/*
 * On kernels whose kallsyms has no variables (no CONFIG_KALLSYMS_ALL), and so no entries of the
 * tables of exported symbols: the address of an exported symbol, and in `owner` "vmlinux" or the
 * module; 0: nobody exports that name, or kallsyms has the tables. Does not sleep.
 */
unsigned long compat_unlisted_export(const char *name, char owner[MODULE_NAME_LEN]);

/* Bytes of the function at that address, 0 if none begins there. */
unsigned long compat_symbol_size(unsigned long address);

/* Bytes from that address to the end of the symbol that it is in; 0: it is in none. */
unsigned long compat_symbol_room(unsigned long address);

/* Where the symbol before that address begins; 0: there is none. */
unsigned long compat_symbol_before(unsigned long address);

/*
 * Where ftrace's site in the function at that address is, as an offset; SUTURE_NONE: there is none
 * at its entry. `size` is the function's.
 */
u32 compat_ftrace_site(unsigned long address, unsigned long size);

/*
 * Defines an ftrace_func_t that calls fn(ops, regs), for operations with FTRACE_OPS_FL_SAVE_REGS;
 * and the flag for those that need no protection from recursion.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 11, 0)
#define COMPAT_FTRACE_UNPROTECTED 0
#define COMPAT_FTRACE_HANDLER(name, fn)                                                            \
	static void notrace name(unsigned long ip, unsigned long parent_ip,                        \
				 struct ftrace_ops *ops, struct ftrace_regs *fregs)                \
	{                                                                                          \
		fn(ops, ftrace_get_regs(fregs));                                                   \
	}
#else
#define COMPAT_FTRACE_UNPROTECTED FTRACE_OPS_FL_RECURSION_SAFE
#define COMPAT_FTRACE_HANDLER(name, fn)                                                            \
	static void notrace name(unsigned long ip, unsigned long parent_ip,                        \
				 struct ftrace_ops *ops, struct pt_regs *regs)                     \
	{                                                                                          \
		fn(ops, regs);                                                                     \
	}
#endif

/*
 * Begins the function that a tracepoint's probe of sched_switch is; kernels differ in the arguments
 * that follow `next`.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 18, 0)
#define COMPAT_SWITCH_PROBE(name, prev, next)                                                      \
	static void name(void *data, bool preempt, struct task_struct *prev,                       \
			 struct task_struct *next, unsigned int prev_state)
#else
#define COMPAT_SWITCH_PROBE(name, prev, next)                                                      \
	static void name(void *data, bool preempt, struct task_struct *prev,                       \
			 struct task_struct *next)
#endif

/* It will not run again once its last context switch is over. */
static inline bool compat_is_dead(const struct task_struct *task)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 14, 0)
	return READ_ONCE(task->__state) == TASK_DEAD;
#else
	return READ_ONCE(task->state) == TASK_DEAD;
#endif
}

/* Per-CPU offset of the kernel's counter of context switches, a u64; 0: not known. */
unsigned long compat_pcpu_switches(void);

/*
 * BPF's table of trampolines, NULL if there is none; and the one that the table's node is in.
 */
#define COMPAT_TRAMPOLINE_BUCKETS 1024 /* TRAMPOLINE_TABLE_SIZE, which no header tells */
struct bpf_trampoline;
struct hlist_head *compat_trampolines(void);
const struct bpf_trampoline *compat_trampoline(const struct hlist_node *node);

/*
 * The module of that name ('-' is '_' in it), in any state. It has no reference: the agent's
 * notifier, which takes agent_lock, keeps it from being freed. agent_lock must be held as long as
 * it is used.
 */
struct module *compat_find_module(const char *name);

/* The modules that this one takes symbols from, at most max of them. Returns how many. */
unsigned int compat_module_uses(const char *name, char (*names)[SUTURE_NAME_LEN], unsigned int max);

/* True if the module of that name links to the agent, that is, if it is a payload. */
bool compat_is_payload(const char *name);

/* True if the address lies in memory of that object that is freed when its init is over. */
bool compat_is_init(const char *object, unsigned long address);

/* True if the kernel's loader of modules writes to static keys that are read-only (before 6.10). */
bool compat_writes_sealed_keys(void);

/* The module's text: the part that stays after its init. */
void compat_module_text(const struct module *mod, unsigned long *start, unsigned long *end);

/*
 * Fill in where this kernel keeps the return addresses and instructions that probes and tracers
 * have replaced, and its run queues; what it lacks is SUTURE_NONE or 0.
 */
void compat_layout(struct suture_layout *layout);

/* x86: per-CPU offsets of the pointers to the running task and to the IRQ stack; 0: none. */
unsigned long compat_pcpu_current(void);
unsigned long compat_pcpu_irq_stack(void);

/* Where the unwind tables of the kernel and of modules are; leaves zeros when there are none. */
void compat_unwind_tables(struct suture_layout *l);

/*
 * Have a user task that sleeps interruptibly, or runs, call work->func before it returns to user
 * mode, without a signal that it could see. -ESRCH: it exits.
 */
struct callback_head;
int compat_task_work(struct task_struct *task, struct callback_head *work);
/* Make a task pass through the kernel's exit to user mode, without a signal that it could see. */
void compat_fake_signal(struct task_struct *task);

/*
 * Exported, but kernel/rcu/rcu.h declares them. Calls nest: until the last one is taken back, who
 * waits for a grace period has it sooner, at the price of interrupts to CPUs that are not idle.
 */
#ifdef CONFIG_TINY_RCU
static inline void rcu_expedite_gp(void)
{
}

static inline void rcu_unexpedite_gp(void)
{
}
#else
void rcu_expedite_gp(void);
void rcu_unexpedite_gp(void);
#endif

#endif
