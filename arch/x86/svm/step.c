/* SPDX-License-Identifier: BSD-2-Clause */
/* Single steps (APM vol. 2, 13.1 and 15.21). */
#include "svm.h"
#include "../insn.h"

/*
 * A single step sets TF in the guest's RFLAGS. Interrupts stay pending: the monitor's IF, which is
 * clear, masks them (15.21.1). Exceptions exit, so that the step also ends if the instruction
 * faults.
 *
 * An event that is injected comes first, and its delivery is the step: it would save TF, clear it
 * and go on. A kick ends it instead, whose exit follows the delivery (15.20).
 */
void svm_step_begin(struct cpu *c)
{
	struct svm_cpu *s = svm_of(c);
	struct vmcb *v = s->guest;

	v->intercept1 &= ~INTERCEPT_IRET;
	v->intercept_exceptions = ~0u;
	v->v_intr |= V_INTR_MASKING;
	s->stepped_rflags = c->arch->vcpu.rflags;
	s->stepped_dr6 = v->dr6;
	/* TF would trap at branches only ("Debug-Control MSR (DebugCtl)"). The monitor runs with
	 * the guest's. */
	s->stepped_debugctl = host_debugctl();
	if (s->stepped_debugctl & DEBUGCTL_BTF)
		host_set_debugctl(s->stepped_debugctl & ~DEBUGCTL_BTF);
	s->delivers = c->arch->vcpu.event;
	if (s->delivers)
		arch_kick(c);
	else
		c->arch->vcpu.rflags |= RFLAGS_TF;
}

void svm_delivered(struct cpu *c)
{
	if (c->arch->step && svm_of(c)->delivers && !c->arch->vcpu.event)
		vcpu_step_done(c, true);
}

void svm_iret(struct cpu *c)
{
	c->arch->step = STEP_VENDOR;
	svm_of(c)->over_iret = true;
	svm_step_begin(c);
}

void svm_step_end(struct cpu *c, bool completed)
{
	struct svm_cpu *s = svm_of(c);
	struct vmcb *v = s->guest;
	bool loaded_flags = completed && s->over_iret;

	/* An IRET that faults has unblocked NMIs as well (8.2.3). */
	if (s->over_iret)
		s->nmi_blocked = s->over_iret = false;
	v->intercept_exceptions = 0;
	v->v_intr &= ~V_INTR_MASKING;
	if (s->stepped_debugctl & DEBUGCTL_BTF)
		host_set_debugctl(s->stepped_debugctl);
	if (!loaded_flags && !(s->stepped_rflags & RFLAGS_TF))
		c->arch->vcpu.rflags &= ~RFLAGS_TF;
}
