/* SPDX-License-Identifier: BSD-2-Clause */
/* Barriers and the spin hint (Arm ARM DDI 0487, B2.3 and C6.2, YIELD). */
#ifndef ARCH_BARRIER_H
#define ARCH_BARRIER_H

static inline void arch_relax(void)
{
	__asm__ volatile("yield" ::: "memory");
}

/* The full system: devices are among those who look. */
static inline void arch_mb(void)
{
	__asm__ volatile("dmb sy" ::: "memory");
}

static inline void arch_rmb(void)
{
	__asm__ volatile("dmb ld" ::: "memory");
}

static inline void arch_wmb(void)
{
	__asm__ volatile("dmb st" ::: "memory");
}

#endif
