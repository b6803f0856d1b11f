/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The doorbell: the agent sleeps while it has nothing to do, and the monitor interrupts one guest
 * CPU when there is work.
 *
 * Where each CPU has a doorbell of its own (SUTURE_HC_BELL; x86), a ring is asked for by the
 * service CPU and delivered by the guest CPU itself, before it enters the guest: so a CPU that is
 * held gets none, and what the guest does on a CPU decides whether it gets one. Where the machine
 * has one (SUTURE_HC_BELL_LINE; arm64), it is an interrupt like any device's: the service CPU makes
 * it pending, and the guest's interrupt controller does the rest.
 *
 * The agent arms it by asking for work when there is none, and then is rung once. A ring that it
 * does not answer is repeated on another CPU, a few times; after that its own poll is the net.
 */
#ifndef GUEST_BELL_H
#define GUEST_BELL_H

#include "core/cpu.h"

/*
 * SUTURE_HC_BELL: c may be rung from now on, with the word at ipa; ipa 0: it may not. 0; -EINVAL:
 * not aligned; -EFAULT: no RAM of the guest; -EOPNOTSUPP: this machine has no doorbell. On c, in
 * its exit.
 */
s64 guest_bell_open(struct cpu *c, u64 ipa);

/* SUTURE_HC_BELL_LINE: may the machine's doorbell be rung? 0; -EOPNOTSUPP: it has none. Any CPU. */
s64 guest_bell_open_line(u64 open);

/* The kernel ends, or its agent leaves: no CPU may be rung until it is opened again. Any CPU. */
void guest_bell_close(void);

/* ---- service CPU ---- */

/* The agent sleeps: ring when there is work. False: no doorbell is open. */
bool guest_bell_arm(void);

/* It asks by itself: take back what was not delivered. */
void guest_bell_withdraw(void);

/*
 * Ring if the agent sleeps and is wanted. Returns the time at which to call again, UINT64_MAX: when
 * something has changed.
 */
u64 guest_bell_tick(bool wanted, u64 now_us);

/* Where the agent's thread counts while it lives (suture_hello.heartbeat); ipa 0: nowhere. */
void guest_heartbeat_set(u64 ipa);

/*
 * Has it counted since the last call? Then it is answered in the word behind its own, from
 * guest_bell_arm() on until a doorbell closes: after that the memory may be another kernel's.
 */
bool guest_heartbeat(void);

/* When to look next, at the earliest; UINT64_MAX: it counts nowhere. */
u64 guest_heartbeat_due(u64 now_us);

#endif
