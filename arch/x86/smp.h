/* SPDX-License-Identifier: BSD-2-Clause */
/* Starting CPUs, for the monitor and for the guest. */
#ifndef X86_SMP_H
#define X86_SMP_H

#include "core/cpu.h"

/* Bring the service CPU through INIT and SIPI into service_main(). 0 or -ETIMEDOUT. Boot CPU. */
int smp_start(struct cpu *c);

/* Put a CPU that did not come back into wait-for-SIPI. */
void smp_abandon(struct cpu *c);

/*
 * The guest sent INIT to c, or SIPI. On guest CPU self, in its exit: it takes part in pauses while
 * it waits.
 */
void smp_guest_init(struct cpu *self, struct cpu *c);
void smp_guest_sipi(struct cpu *self, struct cpu *c, u8 vector);

/*
 * Halt until the guest's INIT, from which the CPU starts anew. State CPU_DEAD, on that CPU, no
 * locks held.
 */
_Noreturn void smp_halt(struct cpu *self);

/*
 * If another CPU wants to send this one INIT: leave state CPU_GUEST and wait for it. In
 * vcpu_loop().
 */
void smp_check_init(struct cpu *self);

#endif
