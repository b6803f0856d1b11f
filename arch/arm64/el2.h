/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Guest CPUs on arm64. The monitor is at EL2, without FEAT_VHE's E2H, and the guest at EL1 and EL0.
 * The registers of EL1 are the guest's also while the monitor runs, which has no use for them.
 */
#ifndef ARM64_EL2_H
#define ARM64_EL2_H

/* Offsets for entry.S; el2.c holds them to the structures. */
#define ARCH_CPU_STACK	  8
#define ARCH_CPU_X	  16
#define ARCH_CPU_ELR	  264
#define ARCH_CPU_ESR	  280
#define ARCH_CPU_HPFAR	  296
#define ARCH_CPU_SP_EL0	  304
#define ARCH_CPU_TPIDR	  320
#define EL2_CONFIG_HCR	  32
#define NATIVE_FRAME_SIZE 112
#define NATIVE_FRAME_DAIF 104

#ifndef __ASSEMBLY__
#include "boot/boot.h"
#include "core/cpu.h"
#include "core/progress.h"
#include "exclusive.h"
#include "sysreg.h"

/* Why the guest was left, as entry.S says. */
enum exit_vector { EXIT_SYNC, EXIT_IRQ, EXIT_FIQ, EXIT_SERROR };

/* The guest's registers at its last exit. The first four are given back at the next entry. */
struct vcpu {
	u64 x[31];
	u64 elr, spsr; /* of EL2: where the guest goes on */
	u64 esr, far, hpfar;
	u64 sp_el0, sp_el1;
	u64 tpidr_el1, elr_el1, vbar_el1; /* to be looked at by other CPUs */
};

/* What a single step leaves to do when it is done. */
struct step {
	bool active;
	u64 spsr, mdscr; /* as they were */
	u64 elr;	 /* of the instruction */
	bool os_lock;
};

struct arch_cpu {
	struct cpu *self; /* first: TPIDR_EL2 points here */
	u64 stack_top;
	struct vcpu vcpu;
	struct step step;
	struct progress progress;
	struct exclusive exclusive; /* the last one that failed */
	bool halted;		    /* at the WFI, or CPU_SUSPEND, that the last exit was for */
	u64 vbar;		    /* VBAR_EL1 when last looked at */

	/* psci.c. Written by any CPU: */
	u32 stopped;  /* leave the guest until CPU_ON (guest/kexec.c) */
	u32 starting; /* the guest has asked for it, and it is not there yet */
	u64 entry, context;
};

/* The caller of arch_take_over(), as entry.S saves it on its stack. */
struct native_frame {
	u64 fp, lr;
	u64 x[11]; /* x18 to x28 */
	u64 daif;
	/* the caller's stack goes on behind it */
};

/* What EL2 is to be on every CPU before its MMU is on; read with the MMU off. */
struct el2_config {
	u64 mair, tcr, ttbr0, sctlr, hcr, vbar;
};

/* start.c: what the boot told us; in the monitor's memory. */
extern struct boot_info *machine;

static inline struct arch_cpu *this_arch(void)
{
	return (struct arch_cpu *)read_sysreg(tpidr_el2);
}

/* ---- entry.S ---- */

/*
 * Leave the firmware's EL2: the monitor's tables, vectors and c's stack from here on, and f(c). The
 * MMU is off in between. On that CPU, interrupts off.
 */
_Noreturn void el2_enter(struct arch_cpu *a, void (*f)(struct cpu *c));

/* Where PSCI CPU_ON starts a CPU, with the MMU off and its struct arch_cpu in x0: goes on in
 * cpu_main(). */
extern const char cpu_entry[];

/* Enter the guest with a->vcpu, and return why it was left. On that CPU, vcpu in its place. */
enum exit_vector vcpu_enter(struct arch_cpu *a);

/* SMC with x0 to x17 of *x, which get its results (SMCCC, DEN0028, 2.6 and 2.7). */
void smc_forward(u64 x[18]);

/* ---- el2.c ---- */

/* Fill the configuration and have CPUs find it whose MMU is off. root: of the monitor's tables. */
void el2_init(pa_t root);

/*
 * What of EL2 decides on the guest, and the guest's stage 2 (Linux:
 * Documentation/arch/arm64/booting.rst). On each CPU, the service CPU too: TLBs are invalidated for
 * the VMID that it has. HCR_EL2 is the guest's afterwards.
 */
void el2_init_cpu(void);

/* An affinity that MPIDR_EL1 can have. */
#define MPIDR_AFFINITY 0xff00ffffffull

/* ---- psci.c ---- */

/* SMC or HVC #0 of the guest's, which is behind it already: true if it was one of PSCI, and has
 * been answered. */
bool psci_call(struct cpu *c);

/* This CPU off until the guest's CPU_ON, if there is one. State CPU_PARKED or CPU_DEAD. */
_Noreturn void psci_halt(void);

/* Reset the machine. Any CPU. */
_Noreturn void psci_system_reset(void);

/* ---- vcpu.c ---- */

/* Enter the guest and never come back. State CPU_GUEST; nothing of the caller is needed again. */
_Noreturn void vcpu_loop(struct cpu *c);

/* Advance over the instruction that caused the exit. */
void vcpu_skip(struct cpu *c);

/* Have EL1 take a synchronous exception of that ESR_EL1, for the instruction of the exit (D1.3.3).
 */
void vcpu_inject(struct cpu *c, u64 esr, u64 far);

/* It cannot be run any more; cause and what as cpu_mark_dead(). */
_Noreturn void vcpu_die(struct cpu *c, const char *cause, const char *what);

/* Halt until an interrupt comes for the guest, taking part in pauses as an idle CPU. */
void vcpu_wait(struct cpu *c);

/* ---- fault.c: stage 2 refused an access ---- */

enum exit_class vcpu_stage2_fault(struct cpu *c);

/* The single step is over, completed or with an exception. */
void vcpu_step_done(struct cpu *c);

/* ---- tlb.c ---- */

/*
 * An entry of the guest's stage 2 that maps [addr, addr + size) is invalid: when this returns no
 * CPU has a translation from it. Between break and make; any CPU.
 */
void stage2_invalidate(u64 addr, u64 size);

/* The same for all entries. */
void stage2_invalidate_all(void);

/* ---- kick.c ---- */

/* Give stage 2 back if it was taken away and no pause is under way; `always`: in any case, for the
 * caller has stopped the guest. Any CPU. */
void stage2_give_back(bool always);

/* ---- state.c ---- */

/* On the boot CPU, on the firmware's tables: keep what the caller of arch_take_over() has.
 * -EOPNOTSUPP: EL1 could not go on with it. */
int state_capture(const struct native_frame *frame);
/* On the boot CPU, at the monitor's EL2: make it the guest's state. */
void state_resume(struct cpu *c);
/* That of a CPU after CPU_ON (DEN0022, 6.4.3.4): at EL1, MMU off. */
void state_reset(struct cpu *c, u64 entry, u64 context);

/* A CPU has come up by cpu_entry: service_start() or the guest. */
_Noreturn void cpu_main(struct cpu *c);
#endif

#endif
