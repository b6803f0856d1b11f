/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/lock.h"
#include "arch/barrier.h"
#include "core/cpu.h"
#include "arch/upcalls.h"
#include "lib/mutate.h"

#define ID_BITS	  16
#define ID(token) (((token) & ((1u << ID_BITS) - 1)) - 1)

static u32 token_of(const struct cpu *c)
{
	return READ_ONCE(c->life) << ID_BITS | (c->id + 1);
}

/* Until the boot CPU has left the firmware it cannot say which CPU it is, and holds locks as
 * itself. */
static u32 own_token(void)
{
	bool early = READ_ONCE(cpus[0].state) == CPU_ABSENT;

	return token_of(early ? &cpus[0] : cpu_this());
}

/* True if the holder has begun anew since it took the lock. */
static bool is_broken(u32 held)
{
	return held && token_of(&cpus[ID(held)]) != held && !MUTATION(broken_locks);
}

bool spin_trylock(struct spinlock *l)
{
	u32 held = READ_ONCE(l->held);

	if (held && !is_broken(held))
		return false;
	return __atomic_compare_exchange_n(&l->held, &held, own_token(), false, __ATOMIC_ACQUIRE,
					   __ATOMIC_RELAXED);
}

void spin_lock(struct spinlock *l)
{
	while (!spin_trylock(l)) {
		struct cpu *self = cpu_this();

		/* The service CPU may hold it and be gone, and all guest CPUs wait here. */
		if (self->state != CPU_SERVICE && !MUTATION(waits_for_the_dead))
			service_look(self);
		arch_relax();
	}
}

void spin_unlock(struct spinlock *l)
{
	__atomic_store_n(&l->held, 0, __ATOMIC_RELEASE);
}
