/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Precise unwinding of the guest's stacks: which words of a stack are return addresses. Everything
 * is read from the guest and untrusted. A trace is "reliable" only if the unwinding has reached the
 * stack's end without a gap. Only while the guest is paused, one CPU at a time.
 */
#ifndef GUEST_UNWIND_H
#define GUEST_UNWIND_H

#include "arch/unwind.h"
#include "core/cpu.h"
#include "guest/task.h"

#define UNWIND_MAX_FRAMES 512
#define UNWIND_MAX_SAVED  16
#define UNWIND_STACKS	  (1 + GUEST_CPU_STACKS)

/* A function on a stack, and the state from which its caller's state is computed. */
struct unwind_state {
	u64 ip, sp, fp;
	u64 slot;   /* address of the word that has ip; 0: ip is not on the stack */
	bool exact; /* execution goes on at ip; else ip is behind a call that has not returned */
	u64 saved_low, saved_high; /* registers saved with ip when kernel code was interrupted */
	bool has_regs; /* regs[] is what the registers (in struct vcpu_context's order) were at ip
			*/
	u64 regs[VCPU_MAX_REGS];
	bool gap; /* a return address may be missing: the rest is for people */
	struct guest_stack stacks[UNWIND_STACKS]; /* stacks that may be read; [0] is the task's */
	u32 nr_stacks;
};

struct unwind_frame {
	u64 slot, ip; /* as in struct unwind_state */
};

struct unwind_trace {
	bool reliable; /* complete: up to the stack's end, without a gap */
	u32 nr_frames, nr_saved;
	struct unwind_frame frames[UNWIND_MAX_FRAMES]; /* innermost first */
	struct {
		u64 low, high;
	} saved[UNWIND_MAX_SAVED]; /* registers of interrupted kernel code */
};

/* Unwind a task that does not run and is in no context switch: from its saved stack pointer. */
void unwind_sleeping(const struct guest_task *t, struct unwind_trace *trace);

/* Unwind a held CPU that is in kernel mode and whose current task is t. */
void unwind_running(const struct vcpu_context *ctx, const struct guest_task *t,
		    struct unwind_trace *trace);

/*
 * True if the word at that address of a stack may be an address at which execution goes on: a
 * return address that was found, or a register of interrupted code. For a reliable trace.
 */
bool unwind_is_live(const struct unwind_trace *trace, u64 at);

/* The stack that holds [at, at + len), or NULL. */
const struct guest_stack *unwind_stack(const struct unwind_state *s, u64 at, u64 len);

#endif
