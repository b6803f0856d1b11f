/* SPDX-License-Identifier: BSD-2-Clause */
/* The filter on the guest's interprocessor interrupts, and its other writes to the local APIC. */
#ifndef X86_ICR_H
#define X86_ICR_H

#include "core/cpu.h"

/* The guest writes `value` to the xAPIC register at `offset`. On its CPU, in its exit. */
enum exit_class apic_guest_write(struct cpu *self, u32 offset, u32 value);

/*
 * The guest writes the ICR: low half and destination (8 bits, or 32 in x2APIC mode). True if the
 * caller is to write it to the hardware unchanged; false: it has been handled. On its CPU, in its
 * exit.
 */
bool icr_filter(struct cpu *self, u32 icr, u32 destination, bool x2);

/*
 * True if an interrupt message with this destination (as above), and the destination mode and
 * shorthand of this ICR value, would interrupt the service CPU. Any CPU.
 */
bool icr_reaches_service_cpu(u32 icr, u32 destination, bool x2);

#endif
