/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by the files of the SVM part. */
#ifndef SVM_SVM_H
#define SVM_SVM_H

#include "../hv.h"
#include "../switch.h"
#include "arch/pagetable.h"
#include "vmcb.h"

/* The SVM state of one CPU. */
struct svm_cpu {
	struct vmcb *guest;
	struct vmcb *host;  /* the monitor's FS, GS, TR and system call MSRs, saved by VMSAVE */
	void *host_save;    /* the processor's host save area */
	u64 stepped_rflags; /* before the single step */
	u64 stepped_dr6, stepped_debugctl;
	bool nmi_blocked; /* the guest is in its NMI handler */
	bool over_iret;	  /* the current single step executes its IRET */
	bool delivers;	  /* the current single step delivers an event */
};

static inline struct svm_cpu *svm_of(const struct cpu *c)
{
	return c->arch->hv;
}

/* exits.c: handle the exit that struct vcpu and the VMCB describe. */
enum exit_class svm_exit(struct cpu *c);

/*
 * The length of the instruction that exited: from the processor, or else `usual`, its length
 * without prefixes.
 */
u32 svm_insn_len(const struct cpu *c, u32 usual);

/*
 * A kernel may start on this CPU: CPUID exits, as at first, and again from now on if
 * release_cpuid() has ended that.
 */
void svm_catch_cpuid(struct cpu *c);

/* step.c: step_begin() and step_end() of hv.h. */
void svm_step_begin(struct cpu *c);
void svm_step_end(struct cpu *c, bool completed);

/* A kick has arrived, which ends a single step that has delivered its event. */
void svm_delivered(struct cpu *c);

/* The guest is about to leave its NMI handler by IRET: NMIs stay blocked until it has completed. */
void svm_iret(struct cpu *c);

/*
 * npt.c: make the format of nested tables that of this processor; top_of_memory: TOP_MEM2, or 0
 * where that is off. Boot CPU, in probe().
 */
void npt_init(u64 top_of_memory);
const struct pt_format *npt_format(void);

/*
 * Does a guest of this processor train what the monitor's returns do? Branch type confusion (Zen,
 * Zen 2) and inception (Zen 3, Zen 4) make any instruction, or any return, go where the guest wants
 * it to, whatever the code is. IBPB behind an exit forgets what was learned (AMD, "Technical
 * guidance for mitigating branch type confusion", AMD-SB-7005). family: as CPUID Fn0000_0001_EAX
 * has it with the extended family added; features: CPUID Fn8000_0008_EBX.
 */
bool svm_needs_barrier(u32 family, u32 features);

/*
 * The same of transient scheduler attacks (Zen 3, Zen 4): VERW at an entry clears what they read
 * (AMD-SB-7029). eax, ecx: CPUID Fn8000_0021.
 */
bool svm_needs_clearing(u32 eax, u32 ecx);

/* run.S: one VMRUN with all registers loaded and saved; flags: SWITCH_* of switch.h. */
void svm_run(u64 *gprs, u64 guest_pa, u64 host_pa, u32 flags);
/* STGI, so that pending NMIs and interrupts are taken, then CLGI. */
void svm_open_window(void);

#endif
