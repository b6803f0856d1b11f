/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Unwinding by frame records (AAPCS64, IHI 0055, 6.4.6): X29 points at a pair of the caller's X29
 * and the return address. Compiled code makes its record before it calls anything; so the chain has
 * the return addresses of all functions but the innermost, if each of them
 * is behind a call of such code (`make records` looks at a kernel's functions).
 *
 * Three places break the rule, and a trace through one has a gap: code that an exception has
 * interrupted may have no record yet, and its return address is somewhere among the registers that
 * were saved; trampolines of tracers keep the address in places of their own; what is behind no
 * call is such a trampoline, put in an address's place.
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

static bool is_unrecorded(u64 ip)
{
	const struct suture_layout *l = &guest_kernel.layout;

	for (u32 i = 0; !MUTATION(unrecorded_code) && i < l->nr_unrecorded; i++)
		if (ip >= l->unrecorded[i].start && ip <= l->unrecorded[i].end)
			return true;
	return false;
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

	return (guest_is_kernel_text(ip, 1) || guest_is_module_text(ip, 1)) &&
	       !is_unrecorded(ip) && (s->exact || follows_call(ip));
}

bool arch_unwind_sleeping(struct unwind_state *s, const struct guest_task *t)
{
	s->ip = t->pc;
	s->sp = t->sp;
	return !guest_read_u64(GVA(t->task + guest_kernel.layout.task_sp - FP_BELOW_SP), &s->fp);
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
	s->gap = !is_recorded(s) || s->fp < s->sp ||
		 unwind_stack(s, s->fp, 16) != unwind_stack(s, s->sp, 16);
	s->saved_low = ALIGN_DOWN(s->sp, 8);
	s->saved_high = MUTATION(innermost_frame) ? s->saved_low : s->fp;
}

enum unwind_step arch_unwind_next(struct unwind_state *s)
{
	u64 record = s->fp, next, ip, final = s->stacks[0].high - guest_kernel.layout.final_record;

	if (unwind_word(s, record, &next) || unwind_word(s, record + 8, &ip))
		return UNWIND_UNRELIABLE;
	if (!ip)
		return (record == final && !next) || MUTATION(record_of_zeros) ? UNWIND_DONE
									       : UNWIND_UNRELIABLE;
	s->gap |= !is_recorded(s);
	s->ip = ip;
	s->slot = record + 8;
	s->sp = record + 16;
	s->fp = next;
	s->exact = false;
	s->has_regs = false;
	return UNWIND_FRAME;
}
