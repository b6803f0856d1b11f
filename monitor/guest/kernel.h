/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest's kernel as its agent described it (struct suture_layout), checked and kept. */
#ifndef GUEST_KERNEL_H
#define GUEST_KERNEL_H

#include "guest/mem.h"
#include <suture/abi.h>

struct guest_kernel {
	bool registered;
	struct suture_layout layout;
	u8 build_id[32]; /* read by the monitor from the notes in guest memory */
	u32 build_id_len;
	char release[SUTURE_NAME_LEN];
};

extern struct guest_kernel guest_kernel;

/*
 * Register the kernel. Checks every number for sense (ranges in order, sizes within limits, offsets
 * within a task of 64 KiB) and by reading: the build-id note that lies between notes_start and
 * notes_end must be the one given, init_task's comm must begin with "swapper". On failure nothing
 * changes: -EINVAL, -EFAULT, -EBADMSG (build-id), -EBUSY (another kernel is registered), and `why`
 * (at least 128 bytes) says what was wrong. Service CPU.
 */
int guest_kernel_register(const struct suture_hello *h, char *why, size_t why_size);

/* Forget it. Service CPU. */
void guest_kernel_forget(void);

/* True if [va, va + len) lies in vmlinux's text, or in the range where modules' text may lie. */
bool guest_is_kernel_text(u64 va, u64 len);
bool guest_is_module_text(u64 va, u64 len);

#endif
