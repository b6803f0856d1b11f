/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What an architecture calls in the portable part, in the order of a CPU's life. An architecture
 * also uses services and structures of the portable part, as any folder of the monitor does;
 * docs/architecture.md lists them. mk/lint-contract.py checks both.
 */
#ifndef ARCH_UPCALLS_H
#define ARCH_UPCALLS_H

#include "lib/types.h"

struct boot_info;
struct cpu;
struct unwind_state;

/* ---- the start ---- */

/*
 * The steps before the first entry of the guest: record which memory is the guest's, start the
 * service CPU, and write the hypercall instruction into the ACPI table. Boot CPU, in
 * arch_take_over(), on the firmware's tables, no lock held. 0; -EINVAL, -ENOSPC: memory map; or an
 * error of arch_start_service(). After an error the machine boots natively.
 */
int start_before_guest(const struct boot_info *bi);

/*
 * The service loop. Service CPU, in state CPU_SERVICE, on the monitor's tables, its interrupts set
 * up for arch_service_idle(), no lock held. Called again, on an empty stack, it begins anew.
 */
_Noreturn void service_main(const struct boot_info *bi);

/*
 * The service CPU cannot go on: an exception, or it is stuck. `why` (a constant) is for the
 * operator. True: call service_main() again; false: halt for ever. Service CPU, in any state; takes
 * no lock.
 */
bool service_restarts(const char *why);

/*
 * c runs the guest from the start, or again after the guest has stopped it (x86: INIT and SIPI, APM
 * vol. 2, 14.1.3 and 16.5; arm64: PSCI CPU_ON, DEN0022): nothing is known of its kernel. On c,
 * before it enters the guest, no lock held.
 */
void kexec_cpu_started(const struct cpu *c);

/*
 * The memory types in [begin, end) have changed: stage 2 gets those that its format's memory_type()
 * gives now. 0; -EAGAIN: the guest's CPUs did not stop in time, to be called again; -ENOMEM;
 * -ENOSPC: the guest has had too many leaves split. Service CPU, outside of a pause, no lock held.
 */
int stage2_retype(u64 begin, u64 end);

/* ---- in each exit ---- */

/*
 * Look whether the service CPU lives, and do something about it if not. Called once in each exit.
 * On that CPU, no lock held; takes part in pauses while it waits.
 */
void service_look(struct cpu *self);

/*
 * If a pause is under way: acknowledge it and wait for its end, in state CPU_HELD, then call
 * arch_stage2_flush_local(). Called last before a guest CPU returns to the guest, and repeatedly in
 * each loop in which it waits. On that CPU, no lock held.
 */
void pause_point(struct cpu *self);

/*
 * A hypercall from kernel mode (one from user mode is refused by the architecture, with -EPERM):
 * dispatch on nr. Returns the guest's result, or negative errno (-ENOSYS: no such nr). On c, in its
 * exit, no lock held; waits for other CPUs only in pauses.
 */
s64 hypercall(struct cpu *c, u64 nr, u64 a0, u64 a1, u64 a2);

/* How the architecture handles an access that stage 2 has refused. */
enum guest_fault {
	GUEST_FAULT_RETRY,   /* enter the guest: the access is tried again */
	GUEST_FAULT_STEP,    /* execute the one instruction, no interrupt before its end, and call
			      guest_fault_stepped() */
	GUEST_FAULT_HIDDEN,  /* skip the instruction: its write is lost */
	GUEST_FAULT_NOTHING, /* nothing is there: the guest gets an exception */
};

/*
 * Stage 2 has refused an access at ipa (x86: APM vol. 2, 15.25.6; arm64: stage 2 abort, Arm ARM DDI
 * 0487, ESR_EL2 and HPFAR_EL2). `need`: PT_READ, PT_WRITE or PT_EXEC, what was asked for.
 * `stepping`: the instruction is being executed because of a GUEST_FAULT_STEP already. After
 * GUEST_FAULT_STEP the guest is paused until guest_fault_stepped(). On c, in its exit, no lock
 * held.
 */
enum guest_fault guest_fault(struct cpu *c, ipa_t ipa, u32 need, bool stepping);

/*
 * End the pause of GUEST_FAULT_STEP, whether the instruction has completed or not. On the CPU that
 * got GUEST_FAULT_STEP, in its exit, also if that CPU dies.
 */
void guest_fault_stepped(void);

/*
 * The guest is about to set va as its kernel's system call entry on c (x86: LSTAR, APM vol. 3,
 * SYSCALL; arm64: VBAR_EL1). On c, in its exit, no lock held.
 */
void kexec_entry(struct cpu *c, u64 va);

/*
 * No entry is known of the kernel that runs on c: it is to be told anew although it may be what it
 * was, as of a kernel of the same build. On c, in its exit.
 */
bool kexec_wants_entry(const struct cpu *c);

/*
 * If another kernel has replaced the one that ran on c (kexec, kdump): take all redirects out of
 * force, and make the other guest CPUs leave the guest, as arch_vcpu_stop() does. Returns true in
 * that case. On c, in its exit, no lock held, not within GUEST_FAULT_STEP. Pauses the guest in that
 * case.
 */
bool kexec_check(struct cpu *c);

/*
 * The same for a CPU that arch_kick() has brought out of the guest, perhaps out of a halt. A CPU
 * that the old kernel has left halted is stopped, and does not count as the one that runs the new
 * kernel.
 */
void kexec_kicked(struct cpu *c);

/*
 * The doorbell (arch/bell.h). guest_bell_due(): c is to be interrupted for the agent, unless
 * guest_bell_deliver() says otherwise. That one is called when c can take the interrupt; true: the
 * guest expects it, so it must have it before its next instruction. On c, before it enters the
 * guest, no lock held.
 */
bool guest_bell_due(const struct cpu *c);
bool guest_bell_deliver(const struct cpu *c);

/* c must not be interrupted for the agent any more. On c, in its exit. */
void guest_bell_forget(const struct cpu *c);

/*
 * c cannot enter the guest again: state CPU_DEAD from now on, with a line in the log. It counts as
 * parked: no pause waits for it, and the guest may start it again from reset. `cause`: a constant
 * of lower-case letters and '-'; the text describes the cause. On c, no lock held; the caller
 * halts.
 */
void cpu_mark_dead(struct cpu *c, const char *cause, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* ---- in arch_unwind_*() ---- */

/*
 * The word at `at` of one of the stacks in s. 0; -EFAULT: not aligned to 8, or outside of them. As
 * arch_unwind_next().
 */
int unwind_word(const struct unwind_state *s, u64 at, u64 *word);

#endif
