/* SPDX-License-Identifier: BSD-2-Clause */
/* What the monitor asks of an architecture: its CPUs and what the guest does on them. */
#ifndef ARCH_CPU_H
#define ARCH_CPU_H

#include "lib/types.h"

struct cpu;

/* The CPU that this code runs on. Any CPU inside the monitor. */
struct cpu *cpu_this(void);

/* The guest state of a held CPU that the consistency check needs, whatever the architecture. */
#define VCPU_MAX_REGS 32

struct vcpu_context {
	u64 ip, sp;
	bool user;	 /* not in kernel mode */
	u64 percpu_base; /* x86: the kernel's GS base, also while in user mode; arm64: TPIDR_EL1 */
	u64 other_base; /* x86, kernel mode: the GS base that is not active, or 0 (is the user's) */
	u32 nr_regs;	/* general registers, the link register among them; ip and sp not */
	u64 regs[VCPU_MAX_REGS];
};

/*
 * Bring guest CPU c into the monitor soon (x86: NMI IPI, arm64: stage 2 away and SGI). It will pass
 * pause_point(). Harmless when it comes too often. Any CPU inside the monitor.
 */
void arch_kick(struct cpu *c);

/* What held CPU c was doing. Only while c is in CPU_HELD, or for the calling guest CPU itself. */
void arch_vcpu_context(const struct cpu *c, struct vcpu_context *ctx);

enum vcpu_halt {
	VCPU_RUNS,
	VCPU_IDLE,    /* at a halt instruction (x86: HLT), until an interrupt comes */
	VCPU_STOPPED, /* at one with interrupts off: for ever, but for an NMI */
};

/* Is CPU c halted? Only while it is in CPU_HELD. */
enum vcpu_halt arch_vcpu_halt(struct cpu *c);

#endif
