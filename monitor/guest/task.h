/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest's tasks and stacks. Only while the guest is paused (lists change under a running one).
 */
#ifndef GUEST_TASK_H
#define GUEST_TASK_H

#include "guest/kernel.h"

struct guest_task {
	u64 task;  /* address of task_struct */
	u64 stack; /* lowest address of its kernel stack */
	u64 sp;	   /* saved stack pointer: valid when it does not run */
	u32 pid;
	bool on_cpu;
	char comm[17];
};

/*
 * Call fn for every task: all threads of all processes, and the idle task of every CPU. Stops early
 * when fn returns non-zero, and returns that. -ELOOP when a list does not end (more than 4 million
 * entries or a broken link), -EFAULT when one cannot be read: then the state cannot be judged.
 */
int guest_for_each_task(int (*fn)(const struct guest_task *t, void *arg), void *arg);

/* The running task of the CPU with this per-CPU base (struct vcpu_context). 0 or -EFAULT. */
int guest_current(u64 percpu_base, struct guest_task *t);

/* IRQ, exception and entry stacks of the CPU with this per-CPU base, as ranges; returns how many
 * were filled (at most max), or -EFAULT. */
struct guest_stack {
	u64 low, high;
	const char *kind; /* "irq", "exception", "entry" */
};

int guest_cpu_stacks(u64 percpu_base, struct guest_stack *s, u32 max);

#endif
