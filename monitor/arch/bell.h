/* SPDX-License-Identifier: BSD-2-Clause */
/* Interrupting the guest for its agent (guest/bell.h). */
#ifndef ARCH_BELL_H
#define ARCH_BELL_H

#include "lib/types.h"

struct cpu;

/* ---- one for the machine ---- */

/*
 * The number of an interrupt that no device of the guest's has, as suture_acpi_body.bell_line says
 * it; 0: there is none, and CPUs have their own, or none. The same from the take-over on. Any CPU.
 */
u32 arch_bell_line(void);

/*
 * Make that interrupt pending, or take it back if no CPU has it yet. Which CPU it interrupts, and
 * whether any, is the guest's business; it needs no exit. Service CPU.
 */
void arch_bell_set_line(bool pending);

/* ---- one for each CPU ---- */

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
