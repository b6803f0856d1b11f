/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest's kernel as its agent described it (struct suture_layout), checked and kept. */
#ifndef GUEST_KERNEL_H
#define GUEST_KERNEL_H

#include "lib/types.h"
#include <suture/abi.h>

#define GUEST_MAX_CPU_IDS 8192u /* of nr_cpu_ids */

struct guest_kernel {
	bool registered;
	struct suture_layout layout;
	u8 build_id[32]; /* read by the monitor from the notes in guest memory */
	u32 build_id_len;
	char release[SUTURE_NAME_LEN];
	u64 notes_start, notes_end; /* where the build-id is */
};

extern struct guest_kernel guest_kernel;

/* Forget it. Service CPU. */
void guest_kernel_forget(void);

/* True if [va, va + len) lies in vmlinux's text, or in the range where modules' text may lie. */
bool guest_is_kernel_text(u64 va, u64 len);
bool guest_is_module_text(u64 va, u64 len);

#endif
