/* SPDX-License-Identifier: BSD-2-Clause */
/* Inside of the SVM part. */
#ifndef SVM_SVM_H
#define SVM_SVM_H

#include "../hv.h"
#include "vmcb.h"

/* One CPU's. */
struct svm_cpu {
	struct vmcb *guest;
	struct vmcb *host;  /* what VMSAVE keeps of the monitor: FS, GS, TR, syscall MSRs */
	void *host_save;    /* the processor's own */
	u64 stepped_rflags; /* before the single step */
	u64 stepped_dr6;
	bool nmi_blocked; /* the guest is in its NMI handler */
	bool over_iret;	  /* the step is over its IRET */
};

static inline struct svm_cpu *svm_of(const struct cpu *c)
{
	return c->arch->hv;
}

/* exits.c: handle the exit that struct vcpu and the VMCB describe. */
enum exit_class svm_exit(struct cpu *c);

/* The length of the instruction that exited: from the processor, or `usual`, that of its form
 * without prefixes. */
u32 svm_insn_len(const struct cpu *c, u32 usual);

/* The guest is about to leave its NMI handler by IRET: NMIs are blocked until that is done. */
void svm_iret(struct cpu *c);

/* run.S: one VMRUN with all registers loaded and saved. */
void svm_run(u64 *gprs, u64 guest_pa, u64 host_pa);
/* STGI, so that what is pending is taken, CLGI. */
void svm_open_window(void);

#endif
