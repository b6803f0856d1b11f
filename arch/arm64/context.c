/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest state of a CPU, as the consistency check wants it. */
#include "arch/cpu.h"
#include "el2.h"
#include "sysreg.h"

struct cpu *cpu_this(void)
{
	return this_arch()->self;
}

bool arch_vcpu_user(const struct cpu *c)
{
	return !PSTATE_EL(c->arch->vcpu.spsr) || (c->arch->vcpu.spsr & PSTATE_A32);
}

/*
 * Registers x0 to x30, in that order, and behind them ELR_EL1: at the entry of an exception it
 * alone has the address that was interrupted.
 */
void arch_vcpu_context(const struct cpu *c, struct vcpu_context *ctx)
{
	const struct vcpu *v = &c->arch->vcpu;
	bool user = arch_vcpu_user(c);

	*ctx = (struct vcpu_context){
		.ip = v->elr,
		/* EL1 may run on either (PSTATE.SP, the lowest bit). */
		.sp = user || !(v->spsr & 1) ? v->sp_el0 : v->sp_el1,
		.user = user,
		.percpu_base = v->tpidr_el1,
		.sp_is_lost = !user && v->elr - v->vbar_el1 < VECTORS_SIZE,
	};
	for (u32 i = 0; i < ARRAY_SIZE(v->x); i++)
		ctx->regs[ctx->nr_regs++] = v->x[i];
	ctx->regs[ctx->nr_regs++] = v->elr_el1;
}

/* Linux idles with interrupts masked, which WFI does not heed, and stops CPUs with SError and debug
 * exceptions masked as well. */
enum vcpu_halt arch_vcpu_halt(struct cpu *c)
{
	const struct arch_cpu *a = c->arch;

	if (!READ_ONCE(a->halted))
		return VCPU_RUNS;
	return (a->vcpu.spsr & PSTATE_DAIF) == PSTATE_DAIF ? VCPU_STOPPED : VCPU_IDLE;
}
