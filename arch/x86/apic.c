/* SPDX-License-Identifier: BSD-2-Clause */
#include "apic.h"
#include "arch/barrier.h"
#include "arch/memory.h"
#include "hv.h"
#include "insn.h"

#define BUSY_SPINS 1000000

/* Read from the hardware each time: the guest may change the mode of its CPUs one by one. */
bool apic_is_x2(void)
{
	return rdmsr(MSR_APIC_BASE) & APIC_BASE_X2APIC;
}

bool apic_is_mmio(void)
{
	return (rdmsr(MSR_APIC_BASE) & (APIC_BASE_ENABLE | APIC_BASE_X2APIC)) == APIC_BASE_ENABLE;
}

static volatile u32 *mmio(enum apic_register r)
{
	return arch_ptr(PA(machine->local_apic.v + r));
}

u32 apic_read(enum apic_register r)
{
	return apic_is_x2() ? (u32)rdmsr(MSR_X2APIC + (u32)r / 16) : *mmio(r);
}

void apic_write(enum apic_register r, u32 value)
{
	if (apic_is_x2())
		wrmsr_safe(MSR_X2APIC + (u32)r / 16, value);
	else
		*mmio(r) = value;
}

/* The ICR accepts the next interrupt when this one has been sent (APM vol. 2, 16.5). */
static void wait_idle(void)
{
	for (u32 i = 0; i < BUSY_SPINS && (*mmio(APIC_ICR) & APIC_BUSY); i++)
		arch_relax();
}

void apic_send(u64 hwid, u32 icr)
{
	u32 guest_destination;

	if (apic_is_x2()) {
		/*
		 * The write does not serialize: the barrier orders earlier stores before it, for
		 * the target.
		 */
		arch_mb();
		wrmsr_safe(MSR_X2APIC + APIC_ICR / 16, hwid << 32 | icr);
		return;
	}
	guest_destination = *mmio(APIC_ICR2);
	wait_idle();
	*mmio(APIC_ICR2) = (u32)hwid << 24;
	*mmio(APIC_ICR) = icr;
	wait_idle();
	*mmio(APIC_ICR2) = guest_destination;
}
