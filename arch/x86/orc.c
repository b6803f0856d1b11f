/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Unwinding by the guest's ORC tables: for each address of its text they give the places of the
 * caller's stack pointer, return address and frame pointer. Linux:
 * Documentation/x86/orc-unwinder.rst, and the layout of struct orc_entry in asm/orc_types.h of 6.1,
 * of 6.4 and of 7.0.
 *
 * Two conditions go beyond Linux's unwinder. A return address must follow a call instruction: those
 * that tracers have replaced (kretprobes, function graph) do not, and end the unwinding as
 * unreliable. An ORC entry that marks the end of the stack is accepted only at the top of a task's
 * stack.
 */
#include "arch/unwind.h"
#include "arch/upcalls.h"
#include "guest/mem.h"
#include "guest/module.h"
#include "guest/unwind.h"

/* Linux's numbers before 7.0. */
enum orc_reg {
	ORC_REG_UNDEFINED = 0,
	ORC_REG_PREV_SP = 1,
	ORC_REG_DX = 2,
	ORC_REG_DI = 3,
	ORC_REG_BP = 4,
	ORC_REG_SP = 5,
	ORC_REG_R10 = 6,
	ORC_REG_R13 = 7,
	ORC_REG_BP_INDIRECT = 8,
	ORC_REG_SP_INDIRECT = 9,
	ORC_REG_AX = 10,
	ORC_REG_UNKNOWN = 15,
};

enum orc_kind { ORC_UNDEFINED, ORC_END, ORC_CALL, ORC_REGS, ORC_REGS_PARTIAL };

struct orc {
	enum orc_kind kind;
	s32 sp_offset, bp_offset;
	u8 sp_reg, bp_reg;
};

#define ORC_ENTRY_SIZE 6
#define ORC_IP_SIZE    4

/* struct pt_regs: the registers saved by software, then the frame that IRET takes. */
enum {
	PT_R13 = 0x10,
	PT_BP = 0x20,
	PT_R10 = 0x38,
	PT_AX = 0x50,
	PT_DX = 0x60,
	PT_DI = 0x70,
	PT_IRET = 0x80,
	PT_SIZE = 0xa8,
};

enum { IRET_IP = 0, IRET_CS = 8, IRET_SP = 24, IRET_SIZE = 40 };

/* Their indices in struct vcpu_context. */
enum { CTX_AX = 0, CTX_DX = 2, CTX_BP = 4, CTX_DI = 6, CTX_R10 = 9, CTX_R13 = 12 };

/* The frame that __switch_to_asm() leaves on the stack of a task that it switches away from. */
enum { INACTIVE_BP = 40, INACTIVE_IP = 48, INACTIVE_SIZE = 56 };

/* From 6.9 on a task's stack may have two unused words above its first registers. */
#define TOP_PADDING 16

/* ---- tables ---- */

static u8 decode_reg(u32 format, u8 reg)
{
	static const u8 regs_7_0[16] = {
		ORC_REG_UNDEFINED, ORC_REG_AX,		ORC_REG_DX,	     ORC_REG_SP,
		ORC_REG_BP,	   ORC_REG_DI,		ORC_REG_R10,	     ORC_REG_R13,
		ORC_REG_PREV_SP,   ORC_REG_SP_INDIRECT, ORC_REG_BP_INDIRECT, ORC_REG_UNKNOWN,
		ORC_REG_UNKNOWN,   ORC_REG_UNKNOWN,	ORC_REG_UNKNOWN,     ORC_REG_UNKNOWN,
	};

	return format == SUTURE_ORC_7_0 ? regs_7_0[reg] : reg;
}

static struct orc decode(u32 format, const u8 e[ORC_ENTRY_SIZE])
{
	static const enum orc_kind kinds_6_1[4] = {ORC_CALL, ORC_REGS, ORC_REGS_PARTIAL};
	static const enum orc_kind kinds_6_4[8] = {ORC_UNDEFINED, ORC_END, ORC_CALL, ORC_REGS,
						   ORC_REGS_PARTIAL};
	struct orc o = {
		.sp_offset = (int16_t)(e[0] | e[1] << 8),
		.bp_offset = (int16_t)(e[2] | e[3] << 8),
		.sp_reg = decode_reg(format, e[4] & 15),
		.bp_reg = decode_reg(format, e[4] >> 4),
	};

	if (format != SUTURE_ORC_6_1)
		o.kind = kinds_6_4[e[5] & 7];
	else if (o.sp_reg == ORC_REG_UNDEFINED)
		o.kind = e[5] & 4 ? ORC_END : ORC_UNDEFINED;
	else
		o.kind = kinds_6_1[e[5] & 3];
	return o;
}

/* The last entry that begins at ip or below. The two tables have `count` entries, sorted. */
static bool search(u64 ips, u64 entries, u32 count, u64 ip, struct orc *o)
{
	u8 entry[ORC_ENTRY_SIZE];
	u32 low = 0, high = count;

	while (low < high) {
		u32 mid = low + (high - low) / 2, distance;
		u64 at = ips + (u64)ORC_IP_SIZE * mid;

		if (guest_read_u32(GVA(at), &distance))
			return false;
		if (at + (u64)(s64)(s32)distance <= ip)
			low = mid + 1;
		else
			high = mid;
	}
	if (!low ||
	    guest_read(GVA(entries + (u64)ORC_ENTRY_SIZE * (low - 1)), entry, sizeof(entry)))
		return false;
	*o = decode(guest_kernel.layout.orc_format, entry);
	return true;
}

static bool find(u64 ip, struct orc *o)
{
	const struct suture_layout *l = &guest_kernel.layout;
	const struct guest_module *m;

	if (l->orc_format == SUTURE_ORC_NONE)
		return false;
	if (guest_is_kernel_text(ip, 1))
		return search(l->orc_ip_start, l->orc_start,
			      (u32)((l->orc_ip_end - l->orc_ip_start) / ORC_IP_SIZE), ip, o);
	m = guest_is_module_text(ip, 1) ? guest_module_at(ip) : NULL;
	return m && search(m->unwind_ip, m->unwind_orc, m->nr_unwind, ip, o);
}

/* ---- text ---- */

/* True if these bytes, two at least, are a CALL with opcode FF /2 (SDM vol. 2, 2.1). */
static bool is_indirect_call(const u8 *code, u32 len)
{
	u32 mod = code[1] >> 6, base = code[1] & 7, fixed = 2;

	if (code[0] != 0xff || (code[1] >> 3 & 7) != 2)
		return false;
	if (mod != 3 && base == 4) { /* a SIB byte has the base */
		if (len < 3)
			return false;
		base = code[2] & 7;
		fixed = 3;
	}
	switch (mod) {
	case 0:
		return len == fixed + (base == 5 ? 4 : 0);
	case 1:
		return len == fixed + 1;
	case 2:
		return len == fixed + 4;
	default:
		return len == fixed;
	}
}

#define LONGEST_CALL 7

static bool follows_call(u64 ip)
{
	u8 code[LONGEST_CALL];

	if (guest_read(GVA(ip - LONGEST_CALL), code, sizeof(code)))
		return false;
	if (code[LONGEST_CALL - 5] == 0xe8)
		return true;
	for (u32 len = 2; len <= LONGEST_CALL; len++)
		if (is_indirect_call(code + LONGEST_CALL - len, len))
			return true;
	return false;
}

/* ---- stacks ---- */

/*
 * Kernel threads, and tasks that have not run yet, end below the place of the registers with which
 * they enter user mode; idle tasks of CPUs that were started later, a switch frame deeper.
 */
static bool is_empty(const struct unwind_state *s)
{
	u64 used = s->stacks[0].high - s->sp;

	return used >= PT_SIZE && used <= PT_SIZE + TOP_PADDING + INACTIVE_SIZE;
}

/* The registers of user mode are at the top of a task's stack, or of the entry stack. */
static bool is_entry_from_user(const struct unwind_state *s, u64 end)
{
	for (u32 i = 0; i < s->nr_stacks; i++) {
		u64 high = s->stacks[i].high;

		if (!s->stacks[i].holes && (end == high || (i == 0 && end == high - TOP_PADDING)))
			return true;
	}
	return false;
}

bool arch_unwind_sleeping(struct unwind_state *s, const struct guest_task *t)
{
	s->sp = t->sp + INACTIVE_SIZE;
	s->slot = t->sp + INACTIVE_IP;
	return !unwind_word(s, t->sp + INACTIVE_BP, &s->fp) && !unwind_word(s, s->slot, &s->ip);
}

void arch_unwind_running(struct unwind_state *s, const struct vcpu_context *ctx)
{
	s->ip = ctx->ip;
	s->sp = ctx->sp;
	s->fp = ctx->regs[CTX_BP];
	s->exact = true;
	s->has_regs = true;
	for (u32 i = 0; i < VCPU_MAX_REGS; i++)
		s->regs[i] = ctx->regs[i];
}

/* The previous stack pointer, by the ORC entry. */
static bool find_sp(const struct unwind_state *s, const struct orc *o, u64 *sp)
{
	u64 offset = (u64)(s64)o->sp_offset;

	switch (o->sp_reg) {
	case ORC_REG_SP:
		*sp = s->sp + offset;
		return true;
	case ORC_REG_BP:
		*sp = s->fp + offset;
		return true;
	case ORC_REG_SP_INDIRECT:
		/*
		 * A stack that the kernel switched to: its first word points to the previous stack.
		 */
		if (unwind_word(s, s->sp, sp))
			return false;
		*sp += offset;
		return true;
	case ORC_REG_BP_INDIRECT:
		return !unwind_word(s, s->fp + offset, sp);
	/* For these registers the offset is not used. */
	case ORC_REG_AX:
		*sp = s->regs[CTX_AX];
		return s->has_regs;
	case ORC_REG_DX:
		*sp = s->regs[CTX_DX];
		return s->has_regs;
	case ORC_REG_DI:
		*sp = s->regs[CTX_DI];
		return s->has_regs;
	case ORC_REG_R10:
		*sp = s->regs[CTX_R10];
		return s->has_regs;
	case ORC_REG_R13:
		*sp = s->regs[CTX_R13];
		return s->has_regs;
	}
	return false;
}

/* sp: the previous stack pointer; prev_fp: the frame pointer before, if known. */
static bool find_fp(const struct unwind_state *s, const struct orc *o, u64 sp, u64 prev_fp, u64 *fp)
{
	u64 offset = (u64)(s64)o->bp_offset;

	switch (o->bp_reg) {
	case ORC_REG_UNDEFINED:
		*fp = prev_fp;
		return true;
	case ORC_REG_PREV_SP:
		return !unwind_word(s, sp + offset, fp);
	case ORC_REG_BP:
		return !unwind_word(s, s->fp + offset, fp);
	}
	return false;
}

/*
 * Continue with the code that an exception or interrupt has interrupted: its IRET frame is at
 * `iret`.
 */
static enum unwind_step next_interrupted(struct unwind_state *s, u64 regs, u64 iret)
{
	u64 cs;

	if (unwind_word(s, iret + IRET_CS, &cs))
		return UNWIND_UNRELIABLE;
	if (cs & 3)
		return is_entry_from_user(s, iret + IRET_SIZE) ? UNWIND_DONE : UNWIND_UNRELIABLE;
	s->slot = iret + IRET_IP;
	s->exact = true;
	s->saved_low = regs;
	s->saved_high = iret + IRET_SIZE;
	if (unwind_word(s, s->slot, &s->ip) || unwind_word(s, iret + IRET_SP, &s->sp))
		return UNWIND_UNRELIABLE;
	return UNWIND_FRAME;
}

static enum unwind_step next_regs(struct unwind_state *s, u64 regs)
{
	s->has_regs = !unwind_word(s, regs + PT_AX, &s->regs[CTX_AX]) &&
		      !unwind_word(s, regs + PT_DX, &s->regs[CTX_DX]) &&
		      !unwind_word(s, regs + PT_DI, &s->regs[CTX_DI]) &&
		      !unwind_word(s, regs + PT_R10, &s->regs[CTX_R10]) &&
		      !unwind_word(s, regs + PT_R13, &s->regs[CTX_R13]);
	return s->has_regs ? next_interrupted(s, regs, regs + PT_IRET) : UNWIND_UNRELIABLE;
}

static enum unwind_step next_call(struct unwind_state *s, u64 sp)
{
	s->slot = sp - 8;
	s->sp = sp;
	s->exact = false;
	s->has_regs = false;
	return unwind_word(s, s->slot, &s->ip) ? UNWIND_UNRELIABLE : UNWIND_FRAME;
}

enum unwind_step arch_unwind_next(struct unwind_state *s)
{
	struct unwind_state prev = *s;
	enum unwind_step step;
	struct orc o;
	u64 sp, fp;

	/* A task that has not run yet begins at an entry point, which has no call before it. */
	if (!s->exact && !follows_call(s->ip))
		return is_empty(s) ? UNWIND_DONE : UNWIND_UNRELIABLE;
	/*
	 * The address after a call may belong to the next function; the call itself is in this one.
	 */
	if (!find(s->exact ? s->ip : s->ip - 1, &o))
		return UNWIND_UNRELIABLE;
	if (o.kind == ORC_END)
		return is_empty(s) ? UNWIND_DONE : UNWIND_UNRELIABLE;
	if (!find_sp(s, &o, &sp))
		return UNWIND_UNRELIABLE;

	fp = s->fp;
	switch (o.kind) {
	case ORC_CALL:
		step = next_call(s, sp);
		break;
	case ORC_REGS:
		if (unwind_word(s, sp + PT_BP, &fp))
			return UNWIND_UNRELIABLE;
		step = next_regs(s, sp);
		break;
	case ORC_REGS_PARTIAL:
		s->has_regs = false;
		step = next_interrupted(s, sp, sp);
		break;
	default:
		return UNWIND_UNRELIABLE;
	}
	if (step == UNWIND_FRAME && !find_fp(&prev, &o, sp, fp, &s->fp))
		return UNWIND_UNRELIABLE;
	return step;
}
