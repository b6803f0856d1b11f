/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What probes and tracers do to the stacks of the guest: return addresses that they keep elsewhere,
 * and copies of functions' instructions. While the guest is paused; as guest/task.h otherwise.
 */
#ifndef GUEST_HOOKS_H
#define GUEST_HOOKS_H

#include "guest/task.h"

/* kind: who took it, "kretprobe" or "graph tracer". */
typedef int (*guest_return_fn)(u64 address, const char *kind, void *arg);

/*
 * Call fn for every return address of the task that was replaced on its stack. Stops when fn
 * returns non-zero, and returns that. -EFAULT, -ELOOP: cannot be judged.
 */
int guest_for_each_hooked_return(const struct guest_task *t, guest_return_fn fn, void *arg);

/*
 * The same of kernels that keep them for all tasks together: at most GUEST_MAX_KRETPROBES. `task`
 * is the address of the task_struct.
 */
#define GUEST_MAX_KRETPROBES 65536u
int guest_for_each_kretprobe(int (*fn)(u64 address, u64 task, void *arg), void *arg);

/* Of each of the two kinds; fn is called for no more. */
#define GUEST_MAX_SLOT_PAGES 128u

/*
 * Call fn for every page that kprobes execute copied instructions in; otherwise as above. Whoever
 * is in one is in the probed function, without an address of that anywhere.
 */
int guest_for_each_slot_page(int (*fn)(u64 page, void *arg), void *arg);

#endif
