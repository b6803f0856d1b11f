/* SPDX-License-Identifier: BSD-2-Clause */
/* Interrupting the guest for its agent (guest/bell.h). */
#ifndef ARCH_BELL_H
#define ARCH_BELL_H

struct cpu;

/*
 * c is going to be rung. From now on the architecture calls guest_bell_forget() before the guest's
 * kernel makes c unable to take the interrupt, because it ends (x86: LIDT, LGDT; APM vol. 2, 15.9).
 * 0; -EOPNOTSUPP: there is no interrupt for it on this machine. On c, in its exit.
 */
int arch_bell_open(struct cpu *c);

/*
 * Bring c to the place where it calls guest_bell_deliver(), before it enters the guest. May be
 * lost. Service CPU, with guest_bell_due(c). x86: as arch_kick(); the interrupt is an NMI (APM vol.
 * 2, 15.20).
 */
void arch_bell_ring(struct cpu *c);

#endif
