/* SPDX-License-Identifier: BSD-2-Clause */
/* The platform's functions for lwIP: time, random numbers, assertions. */
#include "arch/platform.h"
#include "arch/time.h"
#include "core/log.h"
#include "lwip/def.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/sys.h"

u8 *net_heap;

/* Milliseconds; wraps, as lwIP expects. */
u32_t sys_now(void)
{
	return (u32_t)(arch_time_us() / 1000);
}

u32 net_random(void)
{
	static u64 state;
	u32 r;

	if (!arch_random(&r, sizeof(r)))
		return r;
	/* net_init() has checked the source: here it may be exhausted for a moment */
	state = (state ^ arch_time_us()) * 6364136223846793005ull + 1442695040888963407ull;
	return (u32)(state >> 32);
}

/*
 * The first sequence number of a new connection. It has a pcb already; those that are half open
 * have the lowest priority from now on, so that the next SYN, if there is no pcb for it, takes that
 * of the one that has waited longest. A limit on half-open connections (TCP_LISTEN_BACKLOG) would
 * keep everybody out for as long as strangers fill it.
 */
u32 net_isn(void)
{
	for (struct tcp_pcb *pcb = tcp_active_pcbs; pcb; pcb = pcb->next)
		if (pcb->state == SYN_RCVD)
			tcp_setprio(pcb, TCP_PRIO_MIN);
	return net_random();
}

void net_assert_failed(const char *what, const char *file, int line)
{
	log_limited(LOG_NET, LOG_ERROR, "lwIP: %s (%s:%d)", what, file, line);
}
