/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest state of a CPU, as the consistency check wants it. */
#include "arch/cpu.h"
#include "el2.h"
#include "lib/mutate.h"

/* D1.3.1.3 */
#define VECTOR_SIZE   0x80u
#define VECTORS_LOWER 0x400u /* from here on, exceptions from EL0 */

bool arch_vcpu_user(const struct cpu *c)
{
	return !PSTATE_EL(c->arch->vcpu.spsr) || (c->arch->vcpu.spsr & PSTATE_A32);
}

/*
 * A stop often comes with an interrupt that is pending: the CPU is at the first instruction of its
 * vector. Nothing of the kernel has been executed there. What was before is still so, and an
 * exception from EL0 leaves the CPU in user mode, for the check.
 */
static bool is_at_vector(const struct vcpu *v, u64 from, u64 to)
{
	u64 offset = v->elr - v->vbar_el1;

	return offset >= from && offset < to && !(offset % VECTOR_SIZE);
}

/*
 * Registers x0 to x30, in that order, and behind them ELR_EL1: at the entry of an exception it
 * alone has the address that was interrupted.
 */
void arch_vcpu_context(const struct cpu *c, struct vcpu_context *ctx)
{
	const struct vcpu *v = &c->arch->vcpu;
	bool user = arch_vcpu_user(c) || is_at_vector(v, VECTORS_LOWER, VECTORS_SIZE);

	*ctx = (struct vcpu_context){
		.ip = v->elr,
		/* EL1 may run on either (PSTATE.SP, the lowest bit). */
		.sp = user || (!(v->spsr & 1) && !MUTATION(which_sp)) ? v->sp_el0 : v->sp_el1,
		.user = user,
		.percpu_base = v->tpidr_el1,
		.sp_is_lost = !MUTATION(in_the_vectors) && !user &&
			      v->elr - v->vbar_el1 < VECTORS_SIZE &&
			      !is_at_vector(v, 0, VECTORS_SIZE),
	};
	for (u32 i = 0; i < ARRAY_SIZE(v->x); i++)
		ctx->regs[ctx->nr_regs++] = v->x[i];
	if (!MUTATION(interrupted_address))
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
