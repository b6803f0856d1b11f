/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Return addresses that probes and tracers keep outside of the guest's stacks, and the copies of
 * functions' instructions that they execute. While the guest is paused; otherwise as in
 * guest/task.h.
 */
#ifndef GUEST_HOOKS_H
#define GUEST_HOOKS_H

#include "guest/task.h"

/* kind: "kretprobe" or "graph tracer". */
typedef int (*guest_return_fn)(u64 address, const char *kind, void *arg);

/*
 * Call fn for every return address of the task that was replaced on its stack. Stops when fn
 * returns non-zero, and returns that. -EFAULT, -ELOOP: cannot be judged.
 */
int guest_for_each_hooked_return(const struct guest_task *t, guest_return_fn fn, void *arg);

/*
 * The same for kernels that keep the return addresses of all tasks in one table: at most
 * GUEST_MAX_KRETPROBES. `task` is the address of the task_struct.
 */
#define GUEST_MAX_KRETPROBES 65536u
int guest_for_each_kretprobe(int (*fn)(u64 address, u64 task, void *arg), void *arg);

/* Of each of the two kinds; fn is called for no more. */
#define GUEST_MAX_SLOT_PAGES 128u

/*
 * Call fn for every page in which kprobes execute copied instructions; otherwise as above. A task
 * in such a page is in the probed function, without any address of that function.
 */
int guest_for_each_slot_page(int (*fn)(u64 page, void *arg), void *arg);

#endif
