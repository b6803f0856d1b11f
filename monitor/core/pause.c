/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/pause.h"
#include "arch/barrier.h"
#include "arch/cpu.h"
#include "arch/pagetable.h"
#include "arch/time.h"
#include "arch/upcalls.h"
#include "core/lock.h"
#include "core/log.h"
#include "lib/errno.h"
#include "lib/mutate.h"

/*
 * A kick can be lost, for example merged with another NMI. It is repeated, so that the loss does
 * not use up the budget.
 */
#define REKICK_US 500

/*
 * After the commit an initiator ends the pause within microseconds. If it has not done so after
 * this time it counts as dead, and a held CPU finishes the committed work.
 */
#define FINISH_GRACE_US 200000

/*
 * The commit word: generation and phase in one word, so that a compare-and-swap of the phase fails
 * if the pause is no longer the same.
 *
 *	IDLE -> OPEN -> COMMITTED -> IDLE	the initiator's way
 *	        OPEN -> EXPIRED   -> IDLE	a held CPU let itself go at the deadline
 *	                COMMITTED -> FINISHING -> IDLE	a held CPU finished for a dead initiator
 */
enum phase { IDLE, OPEN, COMMITTED, FINISHING, EXPIRED };

/*
 * The CPU that may initiate a pause, and the time until which it may: also the deadline of the
 * pause that it begins.
 */
#define OWNER_BITS	      8
#define OWNER(c, until_us)    ((until_us) << OWNER_BITS | ((c)->id + 1))
#define OWNER_ID(owner)	      ((u32)((owner) & ((1u << OWNER_BITS) - 1)))
#define OWNER_UNTIL_US(owner) ((owner) >> OWNER_BITS)

#define PHASE_BITS	 3
#define WORD(gen, phase) ((gen) << PHASE_BITS | (phase))
#define PHASE_OF(word)	 ((enum phase)((word) & ((1u << PHASE_BITS) - 1)))
#define GEN_OF(word)	 ((word) >> PHASE_BITS)

static struct {
	u64 owner; /* the right to initiate: OWNER(), or 0 */
	u64 word;
	u64 generation; /* the owner's */
	u64 deadline_us;
	void (*finish)(void *arg);
	void *arg;
	struct pause_stats stats;
} now;

static u64 load_word(void)
{
	return __atomic_load_n(&now.word, __ATOMIC_ACQUIRE);
}

static bool change_phase(u64 gen, enum phase from, enum phase to)
{
	u64 expected = WORD(gen, from);

	return __atomic_compare_exchange_n(&now.word, &expected, WORD(gen, to), false,
					   __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

static bool is_hold(u64 word)
{
	enum phase phase = PHASE_OF(word);

	return phase == OPEN || phase == COMMITTED || phase == FINISHING;
}

/* True while c may run the guest and has not acknowledged generation gen. */
static bool is_loose(const struct cpu *c, u64 gen)
{
	u32 state = __atomic_load_n(&c->state, __ATOMIC_ACQUIRE);

	if (state != CPU_GUEST && state != CPU_HELD)
		return false;
	return __atomic_load_n(&c->pause_acked, __ATOMIC_ACQUIRE) != gen;
}

static bool change_owner(u64 from, u64 to)
{
	return __atomic_compare_exchange_n(&now.owner, &from, to, false, __ATOMIC_ACQ_REL,
					   __ATOMIC_ACQUIRE);
}

/*
 * No CPU is held any more, and the owner is far past the time to release the right: it counts as
 * dead. (If it is alive, the generation shows it that its pause is over.)
 */
static bool owner_is_dead(u64 owner, u64 time_us)
{
	return owner && !is_hold(load_word()) && time_us > OWNER_UNTIL_US(owner) + FINISH_GRACE_US;
}

/* Wait for the right to initiate. The pauses of other CPUs may hold this one meanwhile. */
static int acquire_owner(struct cpu *self, u64 budget_us, u64 *right)
{
	u64 give_up_us = arch_time_us() + budget_us;

	for (;;) {
		u64 owner = __atomic_load_n(&now.owner, __ATOMIC_ACQUIRE), t = arch_time_us();

		*right = OWNER(self, t + budget_us);
		if (!owner && change_owner(0, *right))
			return 0;
		if (owner_is_dead(owner, t) && change_owner(owner, *right)) {
			log_limited(LOG_CPU, LOG_ERROR,
				    "CPU %u has not ended its pause: CPU %u goes on without it",
				    OWNER_ID(owner) - 1, self->id);
			return 0;
		}
		if (self->state == CPU_GUEST)
			pause_point(self);
		if (t > give_up_us)
			return -ETIMEDOUT;
		arch_relax();
	}
}

static void release_hold(u64 gen, u64 right)
{
	while (!change_phase(gen, OPEN, IDLE) && !change_phase(gen, COMMITTED, IDLE) &&
	       !change_phase(gen, EXPIRED, IDLE) && load_word() == WORD(gen, FINISHING))
		arch_relax();
	change_owner(right, 0);
}

/* Wait until every guest CPU acknowledged, kicking those that did not. */
static int gather_cpus(const struct cpu *self, const struct pause *p)
{
	u64 kick_us = 0;

	for (;;) {
		u64 t = arch_time_us();
		bool kick = t >= kick_us, loose = false;

		for_each_cpu (c) {
			if (c == self || !is_loose(c, p->generation))
				continue;
			loose = true;
			if (kick)
				arch_kick(c);
		}
		if (!loose)
			return 0;
		if (t > p->deadline_us)
			return -ETIMEDOUT;
		if (kick)
			kick_us = t + REKICK_US;
		arch_relax();
	}
}

int pause_begin(struct pause *p, u64 budget_us)
{
	struct cpu *self = cpu_this();
	int r = acquire_owner(self, budget_us, &p->right);

	if (r)
		return r;

	p->start_us = arch_time_us();
	p->deadline_us = p->start_us + budget_us;
	p->generation = __atomic_add_fetch(&now.generation, 1, __ATOMIC_ACQ_REL);
	p->cpus_held = 0;
	now.deadline_us = p->deadline_us;
	now.finish = NULL;
	__atomic_store_n(&now.word, WORD(p->generation, OPEN), __ATOMIC_RELEASE);
	/*
	 * Pairs with the barrier in pause_point(): a CPU that enters the guest sets its state and
	 * then reads the word, and here the order is the opposite, so that one of the two sees the
	 * other.
	 */
	arch_mb();

	r = gather_cpus(self, p);
	if (r) {
		now.stats.timeouts++;
		release_hold(p->generation, p->right);
		return r;
	}
	for_each_cpu (c)
		p->cpus_held += c != self && cpu_is_held(c);
	return 0;
}

u64 pause_left_us(const struct pause *p)
{
	u64 t = arch_time_us();

	return t < p->deadline_us ? p->deadline_us - t : 0;
}

int pause_commit(struct pause *p, void (*finish)(void *arg), void *arg)
{
	now.finish = finish;
	now.arg = arg;
	if (!pause_left_us(p) || !change_phase(p->generation, OPEN, COMMITTED))
		return -ETIMEDOUT;
	return 0;
}

void pause_end(struct pause *p)
{
	u64 took = arch_time_us() - p->start_us;

	now.stats.count++;
	now.stats.last_us = took;
	now.stats.max_us = MAX(now.stats.max_us, took);
	release_hold(p->generation, p->right);
	/* Held CPUs flush in pause_point(); an initiator that is a guest CPU does it here. */
	if (cpu_this()->state == CPU_GUEST)
		arch_stage2_flush_local();
}

/* One poll by a CPU that generation gen holds: true when it may go on. */
static bool may_go(u64 gen)
{
	u64 word = load_word(), t = arch_time_us();

	if (GEN_OF(word) != gen || !is_hold(word))
		return true;
	if (PHASE_OF(word) == OPEN)
		return t > now.deadline_us && change_phase(gen, OPEN, EXPIRED);
	if (t < now.deadline_us + FINISH_GRACE_US || !change_phase(gen, COMMITTED, FINISHING))
		return false;

	if (now.finish)
		now.finish(now.arg);
	log_limited(LOG_CPU, LOG_ERROR,
		    "pause %llu: its initiator vanished after the commit; another CPU finished it",
		    gen);
	change_phase(gen, FINISHING, IDLE);
	return true;
}

void pause_point(struct cpu *self)
{
	u64 word;

	arch_mb();
	while (word = load_word(),
	       is_hold(word) && OWNER_ID(READ_ONCE(now.owner)) != self->id + 1) {
		__atomic_store_n(&self->state, CPU_HELD, __ATOMIC_RELEASE);
		__atomic_store_n(&self->pause_acked, GEN_OF(word), __ATOMIC_RELEASE);
		while (!may_go(GEN_OF(word)))
			arch_relax();
		__atomic_store_n(&self->state, CPU_GUEST, __ATOMIC_RELEASE);
		if (!MUTATION(flush_after_pause))
			arch_stage2_flush_local();
		arch_mb();
	}
}

void pause_restart(struct cpu *self)
{
	u64 owner = __atomic_load_n(&now.owner, __ATOMIC_ACQUIRE), gen = GEN_OF(load_word());

	if (OWNER_ID(owner) != self->id + 1)
		return;
	if (!MUTATION(finish_committed) && change_phase(gen, COMMITTED, FINISHING)) {
		if (now.finish)
			now.finish(now.arg);
		change_phase(gen, FINISHING, IDLE);
	}
	release_hold(gen, owner);
}

u64 pause_until_us(const struct cpu *c)
{
	u64 owner = READ_ONCE(now.owner);

	return OWNER_ID(owner) == c->id + 1 ? OWNER_UNTIL_US(owner) : 0;
}

void pause_sleep(struct cpu *self, void (*halt)(struct cpu *self))
{
	__atomic_store_n(&self->state, CPU_IDLE, __ATOMIC_SEQ_CST);
	halt(self);
	/* Held first: whoever has stopped the guest meanwhile must not find this CPU running. */
	__atomic_store_n(&self->state, CPU_HELD, __ATOMIC_SEQ_CST);
	pause_point(self);
	__atomic_store_n(&self->state, CPU_GUEST, __ATOMIC_SEQ_CST);
	/* Pauses did not wait for this CPU meanwhile, and one may begin now. */
	if (!MUTATION(flush_after_sleep))
		arch_stage2_flush_local();
	pause_point(self);
}

u64 pause_mark(void)
{
	u64 word;

	arch_rmb(); /* orders the caller's reads before this one */
	word = load_word();
	return is_hold(word) ? 0 : GEN_OF(word) + 1;
}

void pause_stats(struct pause_stats *s)
{
	*s = now.stats;
}
