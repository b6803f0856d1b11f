/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interprocessor interrupts of the guest (APM vol. 2, 16.5). The monitor carries out INIT and SIPI.
 * The guest's NMIs must not be mixed up with kicks. No interrupt of the guest may reach the service
 * CPU. All others, the vast majority, go to the hardware unchanged.
 */
#include "apic.h"
#include "core/log.h"
#include "hv.h"
#include "icr.h"
#include "insn.h"
#include "smp.h"

#define X2_BROADCAST 0xffffffffu

/* True if the logical destination includes this CPU. (16.6.1) */
static bool logical_match(const struct cpu *c, u32 destination, bool x2)
{
	u32 ldr, id = (u32)c->hwid;

	if (x2) {
		ldr = (id >> 4) << 16 | 1u << (id & 15);
		return ldr >> 16 == destination >> 16 && (ldr & destination & 0xffff);
	}
	ldr = c->arch->ldr >> 24;
	if (c->arch->dfr >> 28 == 0xf)
		return ldr & destination;
	return ldr >> 4 == destination >> 4 && (ldr & destination & 0xf);
}

static bool is_broadcast(u32 destination, bool x2)
{
	return destination == (x2 ? X2_BROADCAST : 0xffu);
}

/* True if the guest CPU c is a target of this ICR value. */
static bool is_target(const struct cpu *self, const struct cpu *c, u32 icr, u32 destination,
		      bool x2)
{
	switch (icr & APIC_SHORTHAND) {
	case APIC_TO_SELF:
		return c == self;
	case APIC_TO_ALL:
		return true;
	case APIC_TO_OTHERS:
		return c != self;
	}
	if (is_broadcast(destination, x2))
		return true;
	if (icr & APIC_LOGICAL)
		return logical_match(c, destination, x2);
	return c->hwid == destination;
}

bool icr_reaches_service_cpu(u32 icr, u32 destination, bool x2)
{
	const struct cpu *s = &cpus[machine->service_cpu];

	if (icr & APIC_SHORTHAND)
		return (icr & APIC_SHORTHAND) != APIC_TO_SELF;
	if (is_broadcast(destination, x2))
		return true;
	if (!(icr & APIC_LOGICAL))
		return s->hwid == destination;
	/* In xAPIC mode its logical ID is 0, which nothing matches; in x2APIC mode it is fixed. */
	return x2 && logical_match(s, destination, x2);
}

static void deliver(struct cpu *self, struct cpu *c, u32 icr)
{
	switch (APIC_MODE(icr)) {
	case APIC_NMI:
		nmi_send_guest(self, c);
		break;
	case APIC_INIT:
		smp_guest_init(self, c);
		break;
	case APIC_SIPI:
		smp_guest_sipi(self, c, APIC_VECTOR(icr));
		break;
	default:
		/* of the rest, reserved bits make a write fault in x2APIC mode */
		apic_send(c->hwid, APIC_MODE(icr) | APIC_VECTOR(icr) | APIC_ASSERT);
	}
}

bool icr_filter(struct cpu *self, u32 icr, u32 destination, bool x2)
{
	u32 mode = APIC_MODE(icr);
	bool ours = mode == APIC_NMI || mode == APIC_INIT || mode == APIC_SIPI;

	/* The firmware's (SMI), reserved ones, and of no use between CPUs (ExtINT). */
	if (!ours && mode != APIC_FIXED && mode != APIC_LOWEST)
		return false;
	if (!ours && !icr_reaches_service_cpu(icr, destination, x2))
		return true;
	/* INIT level de-assert: only the arbitration of early APIC buses uses it. */
	if (mode == APIC_INIT && (icr & APIC_LEVEL) && !(icr & APIC_ASSERT))
		return false;
	if (ours)
		self->exits[EXIT_STARTUP] += mode != APIC_NMI;
	for_each_cpu (c) {
		u32 state = __atomic_load_n(&c->state, __ATOMIC_ACQUIRE);

		if (c->id == machine->service_cpu || !is_target(self, c, icr, destination, x2))
			continue;
		/* CPUs in other states do not run the guest: there is nothing to interrupt. */
		if (!(mode == APIC_INIT || mode == APIC_SIPI) && state != CPU_GUEST &&
		    state != CPU_HELD)
			continue;
		deliver(self, c, icr);
		if (mode == APIC_LOWEST)
			break; /* lowest priority: one target gets it */
	}
	return false;
}

/*
 * Each register is at a multiple of 16, and the first two are reserved. In QEMU a write to the
 * first would send an MSI.
 */
static bool is_register(u32 offset)
{
	return offset >= APIC_ID && offset % 16 == 0;
}

enum exit_class apic_guest_write(struct cpu *self, u32 offset, u32 value)
{
	/* While it is off, or its registers are MSRs, there is nothing. */
	if (!is_register(offset) || !apic_is_mmio())
		return EXIT_IRQCHIP;
	switch (offset) {
	case APIC_ID:
		/* The guest has read the APIC IDs in the ACPI tables: they do not change. */
		return EXIT_IRQCHIP;
	case APIC_LDR:
		self->arch->ldr = value;
		break;
	case APIC_DFR:
		self->arch->dfr = value;
		break;
	case APIC_ICR:
		if (!icr_filter(self, value, apic_read(APIC_ICR2) >> 24, false))
			return EXIT_IRQCHIP;
		break;
	}
	apic_write((enum apic_register)offset, value);
	return EXIT_IRQCHIP;
}
