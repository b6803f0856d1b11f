/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest's kernel has panicked: its agent says so, or its CPUs look like it. */
#ifndef GUEST_PANIC_H
#define GUEST_PANIC_H

#include "lib/types.h"

/*
 * SUTURE_HC_PANIC: keep the line of `len` bytes at guest physical address ipa for the service CPU;
 * len 0: no line. -EFAULT, -EMSGSIZE: it was told without its line. Takes no lock and waits for
 * nobody: the guest may be anywhere. Any guest CPU in its exit.
 */
s64 panic_told(u64 ipa, u64 len);

/* What was told since the last call, if anything was: one line, "" if there is none. Service CPU.
 */
bool panic_take(char *text, size_t size);

/*
 * Are all guest CPUs but one, of two at least, halted with interrupts off, and is that one not
 * halted at all? That is how a Linux kernel that has panicked leaves them. 1 or 0, or -ETIMEDOUT:
 * the guest could not be paused. Service CPU.
 */
int panic_suspected(void);

#endif
