/* SPDX-License-Identifier: BSD-2-Clause */
/* Starting CPUs, for the monitor and for the guest. */
#ifndef X86_SMP_H
#define X86_SMP_H

#include "core/cpu.h"

/*
 * Bring c through INIT and our own SIPI into the monitor: the service CPU into service_main(),
 * others to wait for the guest's SIPI. `self` is the calling guest CPU, which takes part in pauses
 * while it waits, or NULL. 0 or -ETIMEDOUT. c is not in the guest.
 */
int smp_start(struct cpu *self, struct cpu *c);

/* Put a CPU that did not come back into wait-for-SIPI. */
void smp_abandon(struct cpu *c);

/* The guest sent INIT to c. On guest CPU self, in its exit. */
void smp_guest_init(struct cpu *self, struct cpu *c);

/* The guest sent SIPI to c. Any guest CPU. */
void smp_guest_sipi(struct cpu *c, u8 vector);

/*
 * Have all other guest CPUs leave guest state and wait for INIT. Guest CPU, in its exit; they have
 * left when it next holds a pause.
 */
void smp_stop_others(struct cpu *self);

/* If another CPU wants to INIT this one: leave guest state and wait for it. In the guest loop. */
void smp_check_init(struct cpu *self);

#endif
