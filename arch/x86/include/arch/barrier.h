/* SPDX-License-Identifier: BSD-2-Clause */
/* Barriers and the spin hint (AMD APM vol. 2, 7.4). */
#ifndef ARCH_BARRIER_H
#define ARCH_BARRIER_H

static inline void arch_relax(void)
{
	__asm__ volatile("pause" ::: "memory");
}

static inline void arch_mb(void)
{
	__asm__ volatile("mfence" ::: "memory");
}

static inline void arch_rmb(void)
{
	__asm__ volatile("lfence" ::: "memory");
}

static inline void arch_wmb(void)
{
	__asm__ volatile("sfence" ::: "memory");
}

#endif
