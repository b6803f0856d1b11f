/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Redirects that must go at once, because what they stand in or lead into goes: on the CPU that
 * says so, without the service CPU, which is told afterwards. Any guest CPU in its exit, no lock
 * held.
 */
#ifndef GUEST_DROP_H
#define GUEST_DROP_H

#include "lib/types.h"

/* All in or into guest virtual [start, end). Returns how many; negative: the guest did not stop. */
s64 drop_range(u64 start, u64 end);

enum kernel_end {
	KERNEL_STAYS,
	KERNEL_SHUTS_DOWN, /* reboot, power-off or kexec, as its agent says */
	KERNEL_REPLACED,   /* another one runs (kexec, kdump) */
};

/*
 * The guest's kernel is at its end: all go, and no switch succeeds until the service CPU knows.
 * Returns as drop_range().
 */
s64 drop_all(enum kernel_end how);

/*
 * A redirect that was dropped since this was last asked: true, and its key. Service CPU, which
 * tells the engine.
 */
bool drop_take(u64 *key);

/* How the kernel ended that ran here when this was last asked. Service CPU, which then does what
 * is left to do, and calls shadow_open(). If it did end, nothing is left to take either. */
enum kernel_end kernel_end_take(void);

#endif
