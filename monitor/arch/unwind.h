/* SPDX-License-Identifier: BSD-2-Clause */
/* What the monitor asks of an architecture: steps from a function of the guest to its caller. */
#ifndef ARCH_UNWIND_H
#define ARCH_UNWIND_H

#include "lib/types.h"

struct guest_task;
struct unwind_state;
struct vcpu_context;

enum unwind_step {
	UNWIND_FRAME,	   /* the state is that of the next function outwards */
	UNWIND_DONE,	   /* there is none: this is a regular end of the stack */
	UNWIND_UNRELIABLE, /* the caller cannot be determined */
};

/*
 * Fill ip, sp, fp and slot (the rest is zero) of a task that sleeps. Returns false if they cannot
 * be determined. As arch_unwind_next(). x86: the frame that Linux's __switch_to_asm leaves; arm64:
 * struct cpu_context of its thread_struct.
 */
bool arch_unwind_sleeping(struct unwind_state *s, const struct guest_task *t);

/*
 * The same of a held CPU that is in kernel mode, from its registers; also regs. It cannot fail.
 * saved_low, saved_high: words of the innermost function that may be its return address.
 */
void arch_unwind_running(struct unwind_state *s, const struct vcpu_context *ctx);

/*
 * Go to the caller, or to the code that was interrupted. Reads stacks through unwind_word() only.
 * UNWIND_DONE guarantees that the rest of the task's stack holds no return address, and that none
 * is missing so far, unless s->gap says so. On one CPU at a time, with the guest paused; takes no
 * lock. x86: Linux's ORC tables (asm/orc_types.h); arm64: frame records (AAPCS64, IHI 0055).
 */
enum unwind_step arch_unwind_next(struct unwind_state *s);

#endif
