/* SPDX-License-Identifier: BSD-2-Clause */
/* The host's barriers, for unit tests with threads. */
#ifndef ARCH_BARRIER_H
#define ARCH_BARRIER_H

#include <sched.h>

static inline void arch_relax(void)
{
	sched_yield();
}

static inline void arch_mb(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static inline void arch_rmb(void)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
}

static inline void arch_wmb(void)
{
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

#endif
