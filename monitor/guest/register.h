/* SPDX-License-Identifier: BSD-2-Clause */
/* The agent's description of its kernel, which is checked before it is used. */
#ifndef GUEST_REGISTER_H
#define GUEST_REGISTER_H

#include "lib/types.h"
#include <suture/abi.h>

/*
 * Register the kernel. Checks every number for plausibility (ranges in order, sizes within limits,
 * offsets within a task of 64 KiB) and by reading: the build-id note that lies between notes_start
 * and notes_end must be the one given, init_task's comm must begin with "swapper". On failure
 * nothing changes: -EINVAL, -EFAULT, -EBADMSG (build-id), -EBUSY (another kernel is registered),
 * and `why` (at least 128 bytes) says what was wrong. Service CPU.
 */
int guest_kernel_register(const struct suture_hello *h, char *why, size_t why_size);

/* Is it still in the guest's memory: its build-id, and its first task? Service CPU. */
bool guest_kernel_is_same(void);

#endif
