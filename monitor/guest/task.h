/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's tasks and stacks. To be called while the guest is paused. While the guest runs its
 * lists change, and the caller must expect wrong results (patch/check/ahead.c).
 */
#ifndef GUEST_TASK_H
#define GUEST_TASK_H

#include "guest/kernel.h"

struct guest_task {
	u64 task;  /* address of task_struct */
	u64 stack; /* lowest address of its kernel stack */
	u64 sp;	   /* saved stack pointer: valid when it does not run */
	u64 pc;	   /* saved program counter: likewise; 0 where it is kept on the stack (x86) */
	u32 pid;
	bool on_cpu;
	u64 switches; /* how often it has stopped running */
	u64 start;    /* when it was made: address and start identify a task */
	char comm[17];
};

/*
 * Call fn for every task on the kernel's list: all threads of all processes. Idle tasks are not on
 * it: guest_idle(). Stops early when fn returns non-zero, and returns that. -ELOOP when a list does
 * not end (more than 4 million entries or a broken link), -EFAULT when one cannot be read: then the
 * state cannot be judged. -ETIMEDOUT when there are more at the time until_us: also entries for
 * which fn is not called (processes without threads) take time.
 */
int guest_for_each_task(u64 until_us, int (*fn)(const struct guest_task *t, void *arg), void *arg);

/*
 * Call fn for every task on the run queue of the CPU with this per-CPU base, those that have left
 * the kernel's list included. As guest_for_each_task() otherwise. Nothing is called when the agent
 * could not tell where run queues are (layout.pcpu_rq is 0). -ELOOP too while the queue is locked.
 */
int guest_for_each_queued(u64 percpu_base, u64 until_us,
			  int (*fn)(const struct guest_task *t, void *arg), void *arg);

/* Read the task_struct at that address; the second one through a window. 0 or -EFAULT. */
int guest_task_at(u64 task, struct guest_task *t);
struct window;
int guest_read_task(struct window *w, u64 task, struct guest_task *t);

#define GUEST_SAVED_REGS 32u

/*
 * The registers of a task that does not run which are not on its stack. Returns how many there are
 * (none on x86), or -EFAULT.
 */
int guest_saved_regs(const struct guest_task *t, u64 regs[GUEST_SAVED_REGS]);

/*
 * What is in use of the task's shadow call stack: all of it while it runs, and where the saved
 * pointer is not within it. An empty range if it has none. 0 or -EFAULT.
 */
int guest_shadow_stack(const struct guest_task *t, u64 *low, u64 *high);

/*
 * The running task and the idle task of the CPU with this per-CPU base (struct vcpu_context). 0 or
 * -EFAULT; -ELOOP when the task there is no idle task.
 */
int guest_current(u64 percpu_base, struct guest_task *t);
int guest_idle(u64 percpu_base, struct guest_task *t);

/* The per-CPU base of the kernel's CPU i, below nr_cpu_ids; any value for a CPU that cannot exist.
 * 0 or -EFAULT. */
int guest_percpu_base(u32 i, u64 *base);

/*
 * True if this is the per-CPU base of one of the kernel's CPUs. User code can load any value into
 * x86's GS base: in the first instructions of an entry from user mode it may still be there.
 */
bool guest_is_percpu_base(u64 percpu_base);

/* Read the kernel's bases anew when guest_is_percpu_base() is called next. */
void guest_percpu_forget(void);

/* A stack of a CPU, not of a task. */
struct guest_stack {
	u64 low, high;
	const char *kind; /* "irq", "exception", "entry", "irq shadow call" */
	bool holes;	  /* it has guard pages, which are not mapped */
	bool shadow;	  /* a shadow call stack: return addresses and nothing else */
};

#define GUEST_CPU_STACKS 4

/*
 * IRQ, exception, entry and shadow call stacks of the CPU with this per-CPU base; returns how many
 * were filled, or -EFAULT.
 */
int guest_cpu_stacks(u64 percpu_base, struct guest_stack s[GUEST_CPU_STACKS]);

#endif
