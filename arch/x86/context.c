/* SPDX-License-Identifier: BSD-2-Clause */
/* The guest state of a CPU, in the form that the consistency check uses. */
#include "arch/cpu.h"
#include "hv.h"
#include "insn.h"

/* Kernel addresses are those with the top bit set. */
static bool is_kernel(u64 va)
{
	return va >> 63;
}

void arch_vcpu_context(const struct cpu *c, struct vcpu_context *ctx)
{
	const struct vcpu *v = &c->arch->vcpu;
	u32 n = 0;

	*ctx = (struct vcpu_context){.ip = v->rip, .sp = v->gpr[RSP], .user = v->cpl == 3};
	ctx->sp_is_users = !ctx->user && !is_kernel(ctx->sp);
	/*
	 * In user mode the kernel's GS base is the inactive one, which SWAPGS loads. In kernel mode
	 * it is the active one, except between entry and SWAPGS. User code may have loaded any
	 * value into its own base: only an address in the user half is certainly not the kernel's.
	 */
	ctx->percpu_base = !ctx->user && is_kernel(v->gs_base) ? v->gs_base : v->kernel_gs_base;
	if (ctx->percpu_base == v->gs_base && is_kernel(v->kernel_gs_base))
		ctx->other_base = v->kernel_gs_base;
	for (u32 r = 0; r < NR_GPRS; r++)
		if (r != RSP)
			ctx->regs[n++] = v->gpr[r];
	ctx->nr_regs = n;
}

bool arch_vcpu_user(const struct cpu *c)
{
	return c->arch->vcpu.cpl;
}

bool arch_vcpu_can_fetch(struct cpu *c)
{
	u8 code;

	return vcpu_fetch(c, 0, &code, 1) == 1;
}

/*
 * RIP is after the HLT if the kick has ended it, and at the HLT if the guest is about to execute
 * it.
 */
enum vcpu_halt arch_vcpu_halt(struct cpu *c)
{
	u8 code[2] = {0};

	if (!vcpu_fetch(c, -1, code, sizeof(code)) || (code[0] != 0xf4 && code[1] != 0xf4))
		return VCPU_RUNS;
	return c->arch->vcpu.rflags & RFLAGS_IF ? VCPU_IDLE : VCPU_STOPPED;
}
