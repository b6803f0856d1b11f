/* SPDX-License-Identifier: BSD-2-Clause */
/* Has the guest's kernel panicked? Its agent says so, or the state of its CPUs shows it. */
#ifndef GUEST_PANIC_H
#define GUEST_PANIC_H

#include "lib/types.h"

/*
 * SUTURE_HC_PANIC: keep the line of `len` bytes at guest physical address ipa for the service CPU;
 * len 0: no line. -EFAULT, -EMSGSIZE: the panic is kept without its line. Takes no lock and does
 * not wait: the guest may be in any state. Any guest CPU in its exit.
 */
s64 panic_told(u64 ipa, u64 len);

/*
 * True if a panic was told since panic_known(); text gets its line, "" if it has none. Service CPU,
 * which tells the engine and then calls panic_known().
 */
bool panic_look(char *text, size_t size);
void panic_known(void);

/*
 * Are all guest CPUs but one, of two at least, halted with interrupts off, and is that one not
 * halted at all? A Linux kernel that has panicked leaves its CPUs so. 1 or 0, or -ETIMEDOUT:
 * the guest could not be paused. Service CPU.
 */
int panic_suspected(void);

#endif
