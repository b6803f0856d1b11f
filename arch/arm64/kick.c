/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a pause gets guest CPUs into the monitor: stage 2 is taken away, and whatever they execute
 * next is a stage-2 abort, with interrupts off and in EL0 alike. No interrupt is involved, so none
 * can be lost or be seen by the guest. CPUs that wait for one are not in the guest: WFI traps
 * (HCR_EL2.TWI), and they are idle CPUs (core/pause.h). WFE ends by the event that SEV sends, which
 * is always allowed to happen (D1.6.1).
 *
 * What is taken away are the entries of the root: they become invalid for processors, and stay what
 * they are for the walker, which pauses need. Who comes out of the pause gives them back, if no
 * other pause is under way; so does a CPU that finds them gone for no reason.
 */
#include "arch/cpu.h"
#include "arch/memory.h"
#include "arch/pagetable.h"
#include "core/lock.h"
#include "core/pause.h"
#include "el2.h"
#include "lib/mutate.h"
#include "pt_format.h"
#include "stage2/pgtable.h"

static struct spinlock lock; /* innermost */
static u32 taken;	     /* since stage 2 was last given back */

/* True if an entry has changed. A split may link a table at the same time. */
static bool change_root(u64 (*change)(u64 entry))
{
	u64 *root = arch_ptr(stage2.root);
	u32 count = pt_entries(stage2.format, stage2.format->top_level);
	bool changed = false;

	for (u32 i = 0; i < count; i++) {
		u64 old = __atomic_load_n(&root[i], __ATOMIC_RELAXED);

		while (change(old) != old &&
		       !__atomic_compare_exchange_n(&root[i], &old, change(old), false,
						    __ATOMIC_RELEASE, __ATOMIC_RELAXED))
			;
		changed |= change(old) != old;
	}
	return changed;
}

static bool can_be_kicked(const struct cpu *c)
{
	u32 state = __atomic_load_n(&c->state, __ATOMIC_SEQ_CST);

	return state == CPU_GUEST || state == CPU_HELD || MUTATION(kick_who_is_idle);
}

void arch_kick(struct cpu *c)
{
	if (!can_be_kicked(c))
		return;
	spin_lock(&lock);
	__atomic_store_n(&taken, 1, __ATOMIC_SEQ_CST);
	if (change_root(stage2_revoke) && !MUTATION(revoked_in_tlbs))
		stage2_invalidate_all();
	spin_unlock(&lock);
	instruction("sev");
}

void stage2_give_back(bool always)
{
	if (!__atomic_load_n(&taken, __ATOMIC_SEQ_CST))
		return;
	spin_lock(&lock);
	if (always || pause_mark() || MUTATION(back_in_a_pause)) {
		change_root(stage2_restore);
		instruction("dsb ishst");
		isb();
		__atomic_store_n(&taken, 0, __ATOMIC_SEQ_CST);
	}
	spin_unlock(&lock);
}

/*
 * Other CPUs' changes have been broadcast to the TLBs by who made them (stage2_invalidate()), and
 * what this CPU has fetched of code that changed goes at its exception return (D1.4).
 */
void arch_stage2_flush_local(void)
{
	stage2_give_back(false);
	isb();
}
