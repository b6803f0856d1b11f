/* SPDX-License-Identifier: BSD-2-Clause */
/* The service CPU's side of arch/x86. */
#ifndef X86_SERVICE_H
#define X86_SERVICE_H

#include "core/cpu.h"

/* Set up the local APIC and its timer, and run service_main(). On the service CPU. */
_Noreturn void service_start(struct cpu *c);

/* The same again, whatever state this CPU is in, on an empty stack. On the service CPU. */
_Noreturn void service_restart(void);

/* An interrupt, ours or one that the guest had a device send. On the service CPU, interrupts off.
 */
void service_interrupt(u32 vector);

/* isr.S: halt with interrupts on until one came; returns with interrupts off. */
void idle_halt(void);

#endif
