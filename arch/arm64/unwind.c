/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Unwinding by frame records (AAPCS64, IHI 0055, 6.4.6): X29 points at a pair of the caller's X29
 * and the return address. Linux keeps them everywhere and continues the chain through exceptions,
 * with a record in struct pt_regs.
 *
 * A trace is never complete. A function that was interrupted before it has made its record, or that
 * makes none, is not in the chain: its return address may be anywhere in the registers that were
 * saved. So a trace serves to tell an operator where a task is, and clears no word.
 */
#include "arch/unwind.h"
#include "arch/upcalls.h"
#include "guest/mem.h"
#include "guest/unwind.h"
#include "lib/mutate.h"

#define CTX_FP 29

/* In struct cpu_context of Linux's thread_struct: fp, sp, pc. */
#define FP_BELOW_SP 8

bool arch_unwind_sleeping(struct unwind_state *s, const struct guest_task *t)
{
	s->ip = t->pc;
	s->sp = t->sp;
	return !guest_read_u64(GVA(t->task + guest_kernel.layout.task_sp - FP_BELOW_SP), &s->fp);
}

void arch_unwind_running(struct unwind_state *s, const struct vcpu_context *ctx)
{
	s->ip = ctx->ip;
	s->sp = ctx->sp;
	s->fp = ctx->regs[CTX_FP];
	s->exact = true;
	s->has_regs = true;
	for (u32 i = 0; i < VCPU_MAX_REGS; i++)
		s->regs[i] = ctx->regs[i];
}

enum unwind_step arch_unwind_next(struct unwind_state *s)
{
	u64 record = s->fp, next, ip;

	if (unwind_word(s, record, &next) || unwind_word(s, record + 8, &ip))
		return UNWIND_UNRELIABLE;
	/* the record of zeros that ends the chain is no frame; nor is it a proof (above) */
	if (!ip)
		return MUTATION(record_of_zeros) ? UNWIND_DONE : UNWIND_UNRELIABLE;
	s->ip = ip;
	s->slot = record + 8;
	s->sp = record + 16;
	s->fp = next;
	s->exact = false;
	s->has_regs = false;
	return UNWIND_FRAME;
}
