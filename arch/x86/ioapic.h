/* SPDX-License-Identifier: BSD-2-Clause */
/* The filter on what the guest writes to the IOAPICs. */
#ifndef X86_IOAPIC_H
#define X86_IOAPIC_H

#include "core/cpu.h"

/* True if the page at ipa has registers of an IOAPIC. Any CPU. */
bool ioapic_covers(ipa_t ipa);

/*
 * The guest writes 32 bits to the register at ipa, of which ioapic_covers() is true. A redirection
 * entry that would interrupt the service CPU, or that has a delivery mode that no operating system
 * uses, becomes masked; the guest reads it so. On its CPU, in its exit.
 */
void ioapic_guest_write(struct cpu *self, ipa_t ipa, u32 value);

#endif
