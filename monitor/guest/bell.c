/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/bell.h"
#include "arch/bell.h"
#include "arch/upcalls.h"
#include "core/lock.h"
#include "guest/ram.h"
#include "lib/errno.h"
#include "lib/mutate.h"
#include <suture/abi.h>

/* A ring that is not answered by then may be lost: the CPU has gone offline, for example. */
#define AGAIN_US 100000
#define RINGS	 5
/* While no CPU can be rung: they are held, or have not handled the last waking. */
#define BUSY_US 1000

#define HEARTBEAT_LOOK_US 1000000
/* What the agent may count between two looks, which may come late. */
#define BEATS_AT_ONCE 1000u

/*
 * `word` is the guest physical address of the CPU's own word, 0 if the CPU may not be rung. The CPU
 * itself sets it; others only clear it. `due`: it is to be rung at its next entry. The service CPU
 * sets it, and who clears it owns it.
 */
static struct {
	u64 word;
	u32 due;
} bells[MAX_CPUS];

static u32 line_open; /* the machine's doorbell. By any CPU */

/* The service CPU's. */
static struct {
	bool armed;
	u32 rings;    /* since it was armed */
	u32 last;     /* the CPU that was rung last */
	u64 again_us; /* not before */
} waking;

/*
 * The agent's word is only read. The one behind it is written, by the service CPU, while the agent
 * sleeps and its kernel goes on: `lock` protects `answered`, and what is written while it is true.
 */
static struct {
	u64 ipa;
	u32 last, answers;
	struct spinlock lock;
	bool answered;
} heartbeat;

static u64 word_of(const struct cpu *c)
{
	return __atomic_load_n(&bells[c->id].word, __ATOMIC_ACQUIRE);
}

static bool take_due(const struct cpu *c)
{
	return __atomic_exchange_n(&bells[c->id].due, 0, __ATOMIC_ACQ_REL);
}

static void set_answered(bool answered)
{
	spin_lock(&heartbeat.lock);
	heartbeat.answered = answered;
	spin_unlock(&heartbeat.lock);
}

/* ---- a guest CPU's side ---- */

void guest_bell_forget(const struct cpu *c)
{
	set_answered(false);
	__atomic_store_n(&bells[c->id].word, 0, __ATOMIC_RELEASE);
	take_due(c);
}

s64 guest_bell_open(struct cpu *c, u64 ipa)
{
	const u32 none = 0;
	int r = 0;

	guest_bell_forget(c);
	if (ipa % sizeof(none))
		return -EINVAL;
	if (ipa)
		r = guest_write_ipa(IPA(ipa), &none, sizeof(none));
	if (ipa && !r)
		r = arch_bell_open(c);
	if (!r)
		__atomic_store_n(&bells[c->id].word, ipa, __ATOMIC_RELEASE);
	return r;
}

s64 guest_bell_open_line(u64 open)
{
	if (!arch_bell_line())
		return -EOPNOTSUPP;
	if (!open)
		set_answered(false);
	__atomic_store_n(&line_open, open != 0, __ATOMIC_RELEASE);
	return 0;
}

void guest_bell_close(void)
{
	set_answered(false);
	__atomic_store_n(&line_open, 0, __ATOMIC_RELEASE);
	for_each_cpu (c)
		guest_bell_forget(c);
}

bool guest_bell_due(const struct cpu *c)
{
	return READ_ONCE(bells[c->id].due);
}

bool guest_bell_deliver(const struct cpu *c)
{
	const u32 rung = 1;
	u64 word = word_of(c);

	/* Taken before the word is set: a ring is delivered or withdrawn. */
	return take_due(c) && word && !guest_write_ipa(IPA(word), &rung, sizeof(rung));
}

/* ---- the service CPU's side ---- */

static bool is_line_open(void)
{
	return __atomic_load_n(&line_open, __ATOMIC_ACQUIRE);
}

static bool is_open(void)
{
	bool open = is_line_open();

	for_each_cpu (c)
		open |= word_of(c) != 0;
	return open;
}

bool guest_bell_arm(void)
{
	waking.armed = is_open();
	waking.rings = 0;
	waking.again_us = 0;
	set_answered(waking.armed);
	return waking.armed;
}

void guest_bell_withdraw(void)
{
	waking.armed = false;
	if (MUTATION(bell_withdrawn))
		return;
	for_each_cpu (c)
		take_due(c);
	if (waking.rings && arch_bell_line())
		arch_bell_set_line(false);
	waking.rings = 0;
}

/*
 * Can it be rung? Not one that is held: its next entry may be far. Not one that has not handled its
 * last ring: the next one would find nothing to claim.
 */
static bool can_be_rung(const struct cpu *c)
{
	u32 state = __atomic_load_n(&c->state, __ATOMIC_ACQUIRE), rung;
	u64 word = word_of(c);

	if (!word || (state != CPU_GUEST && !MUTATION(bell_held)))
		return false;
	return !guest_read_ipa(IPA(word), &rung, sizeof(rung)) && (!rung || MUTATION(bell_claimed));
}

/* Another one than the last if there is one. */
static struct cpu *choose_cpu(void)
{
	for (u32 i = 1; i <= nr_cpus; i++) {
		struct cpu *c = &cpus[(waking.last + i) % nr_cpus];

		if (can_be_rung(c))
			return c;
	}
	return NULL;
}

/* False: no CPU can be rung now. */
static bool ring_a_cpu(void)
{
	struct cpu *c = choose_cpu();

	if (!c)
		return false;
	waking.last = c->id;
	__atomic_store_n(&bells[c->id].due, 1, __ATOMIC_RELEASE);
	arch_bell_ring(c);
	return true;
}

static bool ring_the_line(void)
{
	if (!is_line_open())
		return false;
	arch_bell_set_line(true);
	return true;
}

u64 guest_bell_tick(bool wanted, u64 now_us)
{
	if (!waking.armed || !wanted || waking.rings == RINGS)
		return UINT64_MAX;
	if (now_us < waking.again_us)
		return waking.again_us;
	if (!ring_the_line() && !ring_a_cpu())
		return is_open() ? now_us + BUSY_US : UINT64_MAX;
	waking.rings++;
	waking.again_us = now_us + AGAIN_US;
	return waking.again_us;
}

/* ---- the heartbeat ---- */

void guest_heartbeat_set(u64 ipa)
{
	heartbeat.ipa = ipa;
	heartbeat.last = 0;
	guest_heartbeat();
}

static void answer_beat(void)
{
	spin_lock(&heartbeat.lock);
	heartbeat.answers++;
	if (heartbeat.answered || MUTATION(bell_answers))
		guest_write_ipa(IPA(heartbeat.ipa + sizeof(heartbeat.last)), &heartbeat.answers,
				sizeof(heartbeat.answers));
	spin_unlock(&heartbeat.lock);
}

/*
 * A kernel that took the place of the agent's without an exit has other memory there, which is not
 * to be written to: what it holds is hardly the agent's next number.
 */
static bool is_beat(u32 before, u32 now)
{
	return now != before && (now - before <= BEATS_AT_ONCE || MUTATION(bell_any_beat));
}

bool guest_heartbeat(void)
{
	u32 before = heartbeat.last;

	if (!heartbeat.ipa ||
	    guest_read_ipa(IPA(heartbeat.ipa), &heartbeat.last, sizeof(heartbeat.last)) ||
	    !is_beat(before, heartbeat.last))
		return false;
	answer_beat();
	return true;
}

u64 guest_heartbeat_due(u64 now_us)
{
	return heartbeat.ipa ? now_us + HEARTBEAT_LOOK_US : UINT64_MAX;
}
