/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NMIs: our kicks, the guest's own, and those from outside.
 *
 * NMIs carry no reason and merge in the hardware, so the reason is in memory. `kick` is set before
 * the NMI is sent and cleared after it was drained, and nobody sends a second one while it is set:
 * so each of our NMIs meets a set flag, and one that meets a cleared flag came from outside. (One
 * from outside that meets our flag is taken for the kick, and the kick's own NMI, which comes
 * then, for the one from outside: the count is right.)
 */
#include "apic.h"
#include "arch/cpu.h"
#include "arch/time.h"
#include "arch/upcalls.h"
#include "core/log.h"
#include "hv.h"
#include "insn.h"

/*
 * A kick that took this long may be lost (the firmware's SMM can swallow NMIs), and is sent again.
 * When it was only late, one of the two meets a cleared flag: that is what `kicks_again` is for.
 */
#define KICK_LOST_US 100000

/* Others are in the monitor, or in the trampoline with no descriptor tables for an NMI. */
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
	/* Has it left meanwhile? Pairs with drain_kicks(). */
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

void nmi_in_monitor(struct cpu *c)
{
	/* Nobody else will look: nmi_exit() is for NMIs that end the guest's turn. */
	if (c->state == CPU_PARKED || c->state == CPU_DEAD)
		__atomic_store_n(&c->arch->kick, 0, __ATOMIC_SEQ_CST);
	else if (hv->force_exit && can_be_kicked(c))
		hv->force_exit(c);
}

/* True if the NMI that has come is one of ours. */
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
	 * An NMI between STI and HLT, which Linux's idle loop relies on being one: the processor
	 * may forget that STI held interrupts back, take one before the HLT, and then sleep
	 * although it was the wake-up. A HLT that ends early is always allowed.
	 */
	if (a->vcpu.shadow && vcpu_fetch(c, 0, &code, 1) == 1 && code == 0xf4)
		hv->skip(c, 1);

	if (!take_kick(a)) {
		a->nmi_pending = true;
		return EXIT_OTHER;
	}
	/* A switch that goes on while the kernel ends must not drive its CPUs through its memory.
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
	if (!a->nmi_pending || a->step || !hv->nmi_window(c))
		return;
	a->vcpu.event = VEC_NMI | EVENT_NMI | EVENT_VALID;
	a->nmi_pending = false;
	c->exits[EXIT_NMI]++;
}
