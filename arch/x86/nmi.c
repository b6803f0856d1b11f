/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NMIs: the monitor's kicks, the guest's own, those of the machine, and rings for the agent.
 *
 * NMIs carry no reason and merge in the hardware, so the reason is in memory. `kick` is set before
 * the NMI is sent and cleared after it was drained, and no CPU sends a second one while it is set:
 * so each kick finds the flag set, and an NMI that finds it cleared comes from the machine. (If one
 * from the machine finds it set, it counts as the kick, and the kick that arrives later counts as
 * the machine's: the numbers are right.)
 */
#include "apic.h"
#include "arch/bell.h"
#include "arch/cpu.h"
#include "arch/time.h"
#include "arch/upcalls.h"
#include "core/log.h"
#include "hv.h"
#include "insn.h"

/*
 * A kick that has not arrived after this time may be lost (an NMI can be lost in the firmware's
 * SMM), and is sent again. If the first one was only late, the second one finds the flag cleared:
 * `kicks_again` counts such NMIs, so that they are not taken for the machine's.
 */
#define KICK_LOST_US 100000

/*
 * CPUs in other states are in the monitor, or in the trampoline without descriptor tables for an
 * NMI.
 */
static bool can_be_kicked(const struct cpu *c)
{
	u32 state = __atomic_load_n(&c->state, __ATOMIC_SEQ_CST);

	return state == CPU_GUEST || state == CPU_HELD;
}

void arch_kick(struct cpu *c)
{
	struct arch_cpu *a = c->arch;
	u64 now = arch_time_us();

	if (!can_be_kicked(c))
		return;
	if (!READ_ONCE(a->kick))
		WRITE_ONCE(a->kick_us, now);
	if (__atomic_exchange_n(&a->kick, 1, __ATOMIC_SEQ_CST)) {
		if (now - READ_ONCE(a->kick_us) < KICK_LOST_US)
			return;
		__atomic_fetch_add(&a->kicks_again, 1, __ATOMIC_SEQ_CST);
	}
	WRITE_ONCE(a->kick_us, now);
	/* It may have left meanwhile. Pairs with drain_kicks(). */
	if (!can_be_kicked(c)) {
		__atomic_store_n(&a->kick, 0, __ATOMIC_SEQ_CST);
		return;
	}
	apic_send(c->hwid, APIC_NMI | APIC_ASSERT);
}

void nmi_send_guest(struct cpu *self, struct cpu *c)
{
	__atomic_store_n(&c->arch->guest_nmi, 1, __ATOMIC_SEQ_CST);
	if (c != self)
		arch_kick(c);
}

u32 arch_bell_line(void)
{
	return 0; /* it is the CPUs' */
}

void arch_bell_set_line(bool pending)
{
	(void)pending;
}

int arch_bell_open(struct cpu *c)
{
	hv->catch_tables(c);
	return 0;
}

void arch_bell_ring(struct cpu *c)
{
	arch_kick(c);
}

void nmi_in_monitor(struct cpu *c)
{
	/* nmi_exit() does not run here: it handles NMIs that cause a VM exit. */
	if (c->state == CPU_PARKED || c->state == CPU_DEAD)
		__atomic_store_n(&c->arch->kick, 0, __ATOMIC_SEQ_CST);
	else if (hv->force_exit && can_be_kicked(c))
		hv->force_exit(c);
}

/* True if the NMI that has arrived is a kick. */
static bool take_kick(struct arch_cpu *a)
{
	if (__atomic_exchange_n(&a->kick, 0, __ATOMIC_SEQ_CST))
		return true;
	if (!READ_ONCE(a->kicks_again))
		return false;
	__atomic_fetch_sub(&a->kicks_again, 1, __ATOMIC_SEQ_CST);
	return true;
}

enum exit_class nmi_exit(struct cpu *c)
{
	struct arch_cpu *a = c->arch;
	u8 code;

	/*
	 * An NMI between STI and HLT. Linux's idle loop relies on no interrupt being taken between
	 * them. The NMI may end the interrupt shadow of STI: then an interrupt is taken before the
	 * HLT, and the CPU halts although that interrupt was its wake-up. Skipping the HLT is safe,
	 * since a HLT may end early at any time.
	 */
	if (a->vcpu.shadow && vcpu_fetch(c, 0, &code, 1) == 1 && code == 0xf4)
		hv->skip(c, 1);

	if (!take_kick(a)) {
		a->nmi_pending = true;
		return EXIT_OTHER;
	}
	/*
	 * When the kernel has been replaced, CPUs that the old one left halted must not be woken to
	 * run in memory that the new kernel uses.
	 */
	if (!a->step)
		kexec_kicked(c);
	return EXIT_KICK;
}

void nmi_deliver(struct cpu *c)
{
	struct arch_cpu *a = c->arch;

	if (READ_ONCE(a->guest_nmi) && __atomic_exchange_n(&a->guest_nmi, 0, __ATOMIC_SEQ_CST))
		a->nmi_pending = true;
	if (!(a->nmi_pending || guest_bell_due(c)) || a->step || !hv->nmi_window(c))
		return;
	/* A ring merges with an NMI of the guest's or the machine's, as NMIs do. */
	if (!guest_bell_deliver(c) && !a->nmi_pending)
		return;
	a->vcpu.event = VEC_NMI | EVENT_NMI | EVENT_VALID;
	a->nmi_pending = false;
	c->exits[EXIT_NMI]++;
}
