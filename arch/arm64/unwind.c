/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Unwinding by frame records (AAPCS64, IHI 0055, 6.4.6): X29 points at a pair of the caller's X29
 * and the return address. Compiled code makes its record before it calls anything. So the chain has
 * all return addresses but the innermost function's, while each of them is behind a call in such
 * code (`make records` looks at a kernel's functions).
 *
 * A trace has a gap where that is not so. Code that an exception has interrupted may have no record
 * yet: its return address is somewhere among the registers that were saved. A trampoline of a
 * tracer keeps the address in a place of its own. A return address that is behind no call was put
 * there by a tracer.
 */
#include "arch/pac.h"
#include "arch/unwind.h"
#include "arch/upcalls.h"
#include "guest/mem.h"
#include "guest/unwind.h"
#include "insn.h"
#include "lib/mutate.h"

#define CTX_FP 29

/* In struct cpu_context of Linux's thread_struct: fp, sp, pc. */
#define FP_BELOW_SP 8

static bool is_in(const struct suture_code *code, u64 ip)
{
	return ip >= code->start && ip <= code->end;
}

static bool is_trampoline(u64 ip)
{
	const struct suture_layout *l = &guest_kernel.layout;

	for (u32 i = 0; !MUTATION(trampolines) && i < l->nr_trampolines; i++)
		if (is_in(&l->trampolines[i], ip))
			return true;
	return false;
}

static bool is_entry(u64 ip)
{
	return is_in(&guest_kernel.layout.entry, ip) && !MUTATION(exception_entry);
}

/* Neither an entry nor a trampoline. */
static bool is_compiled(u64 ip)
{
	return !is_entry(ip) && !is_trampoline(ip);
}

static bool follows_call(u64 ip)
{
	u32 insn;

	return !guest_read_u32(GVA(ip - INSN_LEN), &insn) &&
	       (insn_is_call(insn) || MUTATION(called_code));
}

/* Does the function at ip keep records, and does the one that it has called return there? */
static bool is_recorded(const struct unwind_state *s)
{
	u64 ip = arch_strip_pac(s->ip);

	return (guest_is_kernel_text(ip, 1) || guest_is_module_text(ip, 1)) && is_compiled(ip) &&
	       (s->exact || follows_call(ip));
}

bool arch_unwind_sleeping(struct unwind_state *s, const struct guest_task *t)
{
	s->ip = t->pc;
	s->sp = t->sp;
	return !guest_read_u64(GVA(t->task + guest_kernel.layout.task_sp - FP_BELOW_SP), &s->fp);
}

/* Is X29 at SP or higher up, on the same stack? */
static bool is_own_record(const struct unwind_state *s)
{
	for (u32 i = 0; i < s->nr_stacks; i++)
		if (s->sp >= s->stacks[i].low && s->sp < s->stacks[i].high)
			return s->fp >= s->sp && s->fp < s->stacks[i].high;
	return false;
}

/*
 * May the innermost function return to code without records? Its caller is in no record where it
 * has not made its own; then the one at X29 may be an exception's.
 */
static bool returns_to_unrecorded(const struct unwind_state *s)
{
	u64 word;

	for (u32 i = 0; i < VCPU_MAX_REGS; i++)
		if (!is_compiled(arch_strip_pac(s->regs[i])))
			return true;
	for (u64 at = s->saved_low; at < s->saved_high; at += 8)
		if (unwind_word(s, at, &word) || !is_compiled(arch_strip_pac(word)))
			return true;
	return false;
}

/*
 * The innermost function may not have made its record yet, or have none. Its return address is then
 * in a register or, for some instructions, in a record below the one at X29 (GCC may use X30
 * between the two instructions that make a record).
 */
void arch_unwind_running(struct unwind_state *s, const struct vcpu_context *ctx)
{
	s->ip = ctx->ip;
	s->sp = ctx->sp;
	s->fp = ctx->regs[CTX_FP];
	s->exact = true;
	s->has_regs = true;
	for (u32 i = 0; i < VCPU_MAX_REGS; i++)
		s->regs[i] = ctx->regs[i];
	s->gap = !is_recorded(s) || !is_own_record(s);
	if (s->gap)
		return;
	s->saved_low = ALIGN_DOWN(s->sp, 8);
	s->saved_high = MUTATION(innermost_frame) ? s->saved_low : s->fp;
	s->gap = returns_to_unrecorded(s) && !MUTATION(innermost_caller);
}

enum unwind_step arch_unwind_next(struct unwind_state *s)
{
	u64 record = s->fp, next, ip, final = s->stacks[0].high - guest_kernel.layout.final_record;

	if (unwind_word(s, record, &next) || unwind_word(s, record + 8, &ip))
		return UNWIND_UNRELIABLE;
	if (!ip) {
		/* from where a task begins, or comes in from user mode, nothing is returned to */
		s->gap |= is_trampoline(arch_strip_pac(s->ip));
		return (record == final && !next) || MUTATION(record_of_zeros) ? UNWIND_DONE
									       : UNWIND_UNRELIABLE;
	}
	s->gap |= !is_recorded(s);
	s->ip = ip;
	s->slot = record + 8;
	s->sp = record + 16;
	s->fp = next;
	s->exact = false;
	s->has_regs = false;
	return UNWIND_FRAME;
}
