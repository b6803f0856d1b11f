/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Barriers between CPUs and devices, for any CPU in any state. x86: APM vol. 2, 7.4; arm64: Arm ARM
 * DDI 0487, DMB and DSB.
 */
#ifndef ARCH_BARRIER_H
#define ARCH_BARRIER_H

/* In loops that wait for another CPU: a hint to the processor, and a compiler barrier. */
void arch_relax(void);

/* Order memory accesses before it with those after it: all, reads, writes. */
void arch_mb(void);
void arch_rmb(void);
void arch_wmb(void);

#endif
