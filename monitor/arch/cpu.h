/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the monitor asks of an architecture: its CPUs and what the guest does on them. No function
 * here takes a lock; those that return no error cannot fail.
 */
#ifndef ARCH_CPU_H
#define ARCH_CPU_H

#include "lib/types.h"

struct cpu;

/*
 * The CPU that this code runs on. Any CPU inside the monitor, on the monitor's tables. x86: the
 * base of GS (APM vol. 2, 4.5.3); arm64: TPIDR_EL2 (Arm ARM DDI 0487).
 */
struct cpu *cpu_this(void);

/* The guest state of a held CPU that the consistency check needs, whatever the architecture. */
#define VCPU_MAX_REGS 32u

struct vcpu_context {
	u64 ip, sp;
	bool user; /* not in kernel mode */
	/*
	 * Kernel mode, but sp is still the user's: the kernel's stacks are empty. x86: the first
	 * instructions of a system call (APM vol. 3, SYSCALL); arm64: never.
	 */
	bool sp_is_users;
	/*
	 * Kernel mode, but sp points nowhere for a few instructions. x86: never; arm64: in the
	 * exception vectors (VBAR_EL1), where Linux computes with it.
	 */
	bool sp_is_lost;
	u64 percpu_base; /* x86: the kernel's GS base, also while in user mode; arm64: TPIDR_EL1 */
	u64 other_base;	 /* x86, kernel mode: the GS base that is not active, or 0 if it is the
			    user's */
	u32 nr_regs;	 /* general registers, the link register among them; ip and sp not */
	u64 regs[VCPU_MAX_REGS];
};

/*
 * Bring guest CPU c into the monitor soon. It will pass pause_point(). Does nothing to one that is
 * not in CPU_GUEST or CPU_HELD; harmless if repeated; a kick may be lost, so a caller that waits
 * repeats it. Any CPU inside the monitor. x86: NMI by the local APIC (APM vol. 2, 16.5, and 15.13.2
 * for its exit); arm64: a stage-2 abort (Arm ARM DDI 0487, D8.15), once stage 2 is taken away.
 */
void arch_kick(struct cpu *c);

/*
 * What held CPU c was doing. Only while c is in CPU_HELD or CPU_IDLE, or for the calling guest CPU
 * itself, in its exit. x86: APM vol. 2, 4.5.3 and SWAPGS in vol. 3 for the bases; arm64: SPSR_EL2,
 * SP_EL1.
 */
void arch_vcpu_context(const struct cpu *c, struct vcpu_context *ctx);

enum vcpu_halt {
	VCPU_RUNS,
	VCPU_IDLE,    /* at a halt instruction (x86: HLT), until an interrupt comes */
	VCPU_STOPPED, /* at one with interrupts off: only an NMI ends it */
};

/*
 * Is CPU c halted? VCPU_RUNS if its code cannot be read. Only while it is in CPU_HELD or CPU_IDLE.
 * x86: HLT (APM vol. 3) and RFLAGS.IF; arm64: WFI and PSTATE.DAIF.
 */
enum vcpu_halt arch_vcpu_halt(struct cpu *c);

/* ---- of the calling guest CPU c, in its exit ---- */

/* True if it is not in kernel mode (x86: CPL, APM vol. 2, 4.9.1; arm64: SPSR_EL2.M). */
bool arch_vcpu_user(const struct cpu *c);

/*
 * Translate va through the guest page tables that c uses now, of the kernel or of a process; with
 * paging off the result is va. 0; -EFAULT: they do not map it, or are not readable. x86: APM vol.
 * 2, 5.3; arm64: Arm ARM DDI 0487, VMSAv8-64 stage 1.
 */
int arch_vcpu_translate(struct cpu *c, u64 va, ipa_t *ipa);

/* True if the first byte of its next instruction can be read. Through the same page tables. */
bool arch_vcpu_can_fetch(struct cpu *c);

/*
 * Make guest CPU c leave the guest, and not enter it again until the guest starts it anew. Returns
 * at once: c has left when the caller next holds a pause. If c is the caller, it leaves in its next
 * pause_point(). c is not the service CPU. A guest CPU, in its exit. x86: until INIT (APM vol. 2,
 * 14.1.3); arm64: until PSCI CPU_ON (DEN0022).
 */
void arch_vcpu_stop(struct cpu *c);

/*
 * True if arch_vcpu_stop() was called for c and the guest has not started it anew since. Any CPU
 * inside the monitor.
 */
bool arch_vcpu_stopped(const struct cpu *c);

#endif
