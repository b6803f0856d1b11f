/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/heartbeat.h"
#include "arch/service.h"
#include "arch/time.h"
#include "arch/upcalls.h"
#include "core/cpu.h"
#include "core/log.h"
#include "core/pause.h"

/*
 * A round of the loop takes milliseconds at most, but for the pause in it. This is long enough for
 * a machine that an emulator halts for a while.
 */
#define LATE_US 1000000u

/* A pause that has not ended so long after its deadline has lost its initiator. */
#define PAUSE_US 300000u

static struct {
	u64 last_us; /* 0: not looked at */
	u32 acting;  /* a CPU does something about it */
} beat;

void heartbeat(void)
{
	WRITE_ONCE(beat.last_us, arch_time_us() + 1);
}

void heartbeat_end(void)
{
	WRITE_ONCE(beat.last_us, 0);
}

static const struct cpu *service_cpu(void)
{
	for_each_cpu (c)
		if (READ_ONCE(c->state) == CPU_SERVICE)
			return c;
	return NULL;
}

static bool is_late(void)
{
	u64 last_us = READ_ONCE(beat.last_us), now = arch_time_us();
	const struct cpu *c;

	if (!last_us || now < last_us + LATE_US)
		return false;
	c = service_cpu();
	return c && now > pause_until_us(c) + PAUSE_US;
}

static void act_on_silence(struct cpu *self)
{
	log_limited(LOG_CPU, LOG_ERROR,
		    "the service CPU gives no sign of life: CPU %u starts it from reset", self->id);
	/* It has as long to begin. Before the reset: it may begin, or end for good, at once. */
	heartbeat();
	arch_service_reset(self);
}

void service_look(struct cpu *self)
{
	if (!is_late() || __atomic_exchange_n(&beat.acting, 1, __ATOMIC_ACQUIRE))
		return;
	if (is_late())
		act_on_silence(self);
	__atomic_store_n(&beat.acting, 0, __ATOMIC_RELEASE);
}
