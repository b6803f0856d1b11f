/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Dropping redirects at once, because the memory that they are in or lead into is freed. The
 * calling CPU does it without the service CPU, which is told afterwards. Any guest CPU in its exit,
 * no lock held.
 */
#ifndef GUEST_DROP_H
#define GUEST_DROP_H

#include "lib/types.h"

/*
 * Drop all redirects that are in, or lead into, guest virtual [start, end). Returns how many;
 * negative: the guest did not stop.
 */
s64 drop_range(u64 start, u64 end);

enum kernel_end {
	KERNEL_STAYS,
	KERNEL_SHUTS_DOWN, /* reboot, power-off or kexec: its agent said so */
	KERNEL_REPLACED,   /* another one runs (kexec, kdump) */
};

/*
 * The guest's kernel ends: drop all redirects. No switch succeeds until the service CPU has called
 * kernel_end_known(). Returns as drop_range().
 */
s64 drop_all(enum kernel_end how);

/*
 * Take one redirect that was dropped: true, and its key; false: there is none. Service CPU, which
 * tells the engine.
 */
bool drop_take(u64 *key);

/*
 * Has the kernel ended, and how? Service CPU, which finds out what has become of it and then calls
 * kernel_end_known(): redirects can be made again. drop_take() says nothing of those that the end
 * has dropped, which are all.
 */
enum kernel_end kernel_end(void);
void kernel_end_known(enum kernel_end how);

/* It has not: the CPUs are asked again whether they run another kernel (kexec.c). Service CPU. */
void kexec_goes_on(void);

#endif
