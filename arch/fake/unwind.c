/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stacks in a format that no machine has: a chain of records {address of the next, return address}.
 * The first record of a sleeping task is at its stack pointer; the last one is the two highest
 * words of the stack, and holds zeros. If the address of the next record is odd, this code was
 * interrupted, and the two words after the record are its registers.
 */
#include "arch/unwind.h"
#include "arch/upcalls.h"
#include "guest/unwind.h"

static enum unwind_step follow(struct unwind_state *s, u64 record)
{
	u64 next, ip;

	if (unwind_word(s, record, &next) || unwind_word(s, record + 8, &ip))
		return UNWIND_UNRELIABLE;
	if (!next)
		return !ip && record == s->stacks[0].high - 16 ? UNWIND_DONE : UNWIND_UNRELIABLE;
	s->ip = ip;
	s->slot = record + 8;
	s->sp = record + 16;
	s->fp = next & ~1ull;
	s->exact = next & 1;
	s->saved_low = s->sp;
	s->saved_high = next & 1 ? s->sp + 16 : s->sp;
	return UNWIND_FRAME;
}

bool arch_unwind_sleeping(struct unwind_state *s, const struct guest_task *t)
{
	return follow(s, t->sp) == UNWIND_FRAME;
}

void arch_unwind_running(struct unwind_state *s, const struct vcpu_context *ctx)
{
	s->ip = ctx->ip;
	s->sp = ctx->sp;
	s->fp = ctx->sp;
	s->exact = true;
}

enum unwind_step arch_unwind_next(struct unwind_state *s)
{
	return follow(s, s->fp);
}
