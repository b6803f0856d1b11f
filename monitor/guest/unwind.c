/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/unwind.h"
#include "arch/unwind.h"
#include "arch/upcalls.h"
#include "guest/mem.h"
#include "lib/errno.h"
#include "lib/string.h"

const struct guest_stack *unwind_stack(const struct unwind_state *s, u64 at, u64 len)
{
	for (u32 i = 0; i < s->nr_stacks; i++) {
		const struct guest_stack *stack = &s->stacks[i];

		if (at >= stack->low && at < stack->high && len <= stack->high - at)
			return stack;
	}
	return NULL;
}

int unwind_word(const struct unwind_state *s, u64 at, u64 *word)
{
	if (at % 8 || !unwind_stack(s, at, 8))
		return -EFAULT;
	return guest_read_u64(GVA(at), word);
}

static bool add_frame(struct unwind_trace *trace, const struct unwind_state *s)
{
	if (trace->nr_frames == UNWIND_MAX_FRAMES)
		return false;
	trace->frames[trace->nr_frames++] = (struct unwind_frame){s->slot, s->ip};
	if (s->saved_low == s->saved_high)
		return true;
	if (trace->nr_saved == UNWIND_MAX_SAVED)
		return false;
	trace->saved[trace->nr_saved].low = s->saved_low;
	trace->saved[trace->nr_saved++].high = s->saved_high;
	return true;
}

/* Callers are higher up: a stack pointer that does not rise ends the unwinding. */
static bool goes_up(const struct unwind_state *s, u64 last_sp)
{
	const struct guest_stack *last = unwind_stack(s, last_sp, 0);

	return !last || s->sp > last_sp || unwind_stack(s, s->sp, 0) != last;
}

static void unwind_frames(struct unwind_state *s, struct unwind_trace *trace)
{
	enum unwind_step step = UNWIND_FRAME;

	while (step == UNWIND_FRAME && add_frame(trace, s)) {
		u64 last_sp = s->sp;

		s->saved_low = s->saved_high = 0;
		step = arch_unwind_next(s);
		if (step == UNWIND_FRAME && !goes_up(s, last_sp))
			step = UNWIND_UNRELIABLE;
	}
	trace->reliable = step == UNWIND_DONE && !s->gap;
}

static void begin_unwind(struct unwind_state *s, const struct guest_task *t,
			 struct unwind_trace *trace)
{
	trace->reliable = false;
	trace->nr_frames = trace->nr_saved = 0;
	memset(s, 0, sizeof(*s));
	s->stacks[0] = (struct guest_stack){
		.low = t->stack,
		.high = t->stack + guest_kernel.layout.thread_size,
		.kind = "task",
	};
	s->nr_stacks = 1;
}

void unwind_sleeping(const struct guest_task *t, struct unwind_trace *trace)
{
	struct unwind_state s;

	begin_unwind(&s, t, trace);
	if (arch_unwind_sleeping(&s, t))
		unwind_frames(&s, trace);
}

void unwind_running(const struct vcpu_context *ctx, const struct guest_task *t,
		    struct unwind_trace *trace)
{
	struct unwind_state s;
	int n;

	begin_unwind(&s, t, trace);
	n = guest_cpu_stacks(ctx->percpu_base, s.stacks + 1);
	if (n < 0)
		return;
	s.nr_stacks += (u32)n;
	arch_unwind_running(&s, ctx);
	/* During a context switch it may be on another task's stack. */
	if (unwind_stack(&s, s.sp, 0))
		unwind_frames(&s, trace);
}

bool unwind_is_live(const struct unwind_trace *trace, u64 at)
{
	for (u32 i = 0; i < trace->nr_frames; i++)
		if (trace->frames[i].slot == at)
			return true;
	for (u32 i = 0; i < trace->nr_saved; i++)
		if (at >= trace->saved[i].low && at < trace->saved[i].high)
			return true;
	return false;
}
