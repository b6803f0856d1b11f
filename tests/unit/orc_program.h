/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random x86-64 code like a compiler's, with the ORC tables that objtool would make for it: frames
 * by RSP, by RBP and realigned ones, tail calls, calls that never return, code without tables.
 * Functions call those made before them, so that every call tree is finite.
 */
#ifndef ORC_PROGRAM_H
#define ORC_PROGRAM_H

#include "guest/kernel.h"
#include "lib/types.h"
#include "unwind_truth.h"

#define TEXT	  0xffffffff81000000ull
#define MODULE	  0xffffffffc0000000ull
#define DATA	  0xffffffff82000000ull
#define TEXT_SIZE 0x100000u
#define DATA_SIZE 0x400000u
#define MAX_ORCS  80000
#define IRQ_TOP	  0xffffc90000110000ull
#define DATA_RNG  (DATA + 0x100) /* a word that the code draws numbers from */

enum {
	REG_UNDEFINED,
	REG_PREV_SP,
	REG_BP = 4,
	REG_SP = 5,
	REG_R10 = 6,
	REG_BP_IND = 8,
	REG_SP_IND = 9
};
enum { KIND_UNDEFINED, KIND_END, KIND_CALL, KIND_REGS };

struct orc_record {
	u64 ip;
	s32 sp_offset, bp_offset;
	u8 sp_reg, bp_reg, kind;
};

/* A piece of text: vmlinux's or a module's. */
struct text {
	u64 base;
	u32 size;
	u8 code[TEXT_SIZE] __attribute__((aligned(PAGE_SIZE)));
	u8 insn[TEXT_SIZE];
	u16 func[TEXT_SIZE]; /* index into funcs, of each byte */
	struct orc_record orcs[MAX_ORCS];
	u32 nr_orcs;
};

static struct text texts[2] = {{.base = TEXT}, {.base = MODULE}};

/* ---- instructions ---- */

static struct text *out; /* where code goes */

static u64 here(void)
{
	return out->base + out->size;
}

/* One instruction: `len` bytes of opcode, and then, when imm_len is not 0, a number. */
static void emit(enum insn kind, const char *opcode, u32 len, u64 imm, u32 imm_len)
{
	out->insn[out->size] = (u8)kind;
	for (u32 i = 0; i < len + imm_len; i++) {
		out->func[out->size] = (u16)nr_funcs;
		out->code[out->size++] = i < len ? (u8)opcode[i] : (u8)(imm >> (8 * (i - len)));
	}
}

#define EMIT(opcode)	    emit(INSN_PLAIN, opcode, sizeof(opcode) - 1, 0, 0)
#define EMIT32(opcode, imm) emit(INSN_PLAIN, opcode, sizeof(opcode) - 1, (imm), 4)
#define EMIT_REL(kind, opcode, to)                                                                 \
	emit(kind, opcode, sizeof(opcode) - 1, (to) - (here() + sizeof(opcode) - 1 + 4), 4)

/* RBX, R12 to R15, and RBP last */
static const u8 saved_regs[] = {3, 12, 13, 14, 15, 5};

static void emit_push(u8 reg)
{
	char op[2] = {0x41, (char)(0x50 + reg % 8)};

	emit(INSN_PLAIN, reg < 8 ? op + 1 : op, reg < 8 ? 1 : 2, 0, 0);
}

static void emit_pop(u8 reg)
{
	char op[2] = {0x41, (char)(0x58 + reg % 8)};

	emit(INSN_PLAIN, reg < 8 ? op + 1 : op, reg < 8 ? 1 : 2, 0, 0);
}

/* Begin an ORC entry: how the caller is found from here on. */
static void orc(u8 kind, u8 sp_reg, s32 sp_offset, u8 bp_reg, s32 bp_offset)
{
	struct orc_record *last = &out->orcs[out->nr_orcs];

	if (!out->nr_orcs || last[-1].ip != here())
		out->nr_orcs++;
	else
		last--;
	*last = (struct orc_record){here(), sp_offset, bp_offset, sp_reg, bp_reg, kind};
}

/* ---- functions ---- */

struct frame {
	bool by_rbp, realigned, known; /* known: has tables */
	u8 saved[6];
	u32 nr_saved, locals; /* bytes */
	s32 depth;	      /* from RSP to the caller's */
	s32 rbp_at;	      /* RBP is saved at the caller's RSP + rbp_at; 0: it is not */
};

static void orc_frame(const struct frame *f)
{
	if (!f->known)
		return;
	if (f->realigned)
		orc(KIND_CALL, REG_BP_IND, -8, REG_BP, 0);
	else if (f->by_rbp)
		orc(KIND_CALL, REG_BP, 16, REG_PREV_SP, -16);
	else
		orc(KIND_CALL, REG_SP, f->depth, f->rbp_at ? REG_PREV_SP : REG_UNDEFINED,
		    f->rbp_at);
}

static void push_saved(struct frame *f, u8 reg)
{
	emit_push(reg);
	f->depth += 8;
	if (reg == 5)
		f->rbp_at = -f->depth;
	orc_frame(f);
}

static void pop_saved(struct frame *f, u8 reg)
{
	emit_pop(reg);
	f->depth -= 8;
	if (reg == 5)
		f->rbp_at = 0;
	orc_frame(f);
}

static void add_to_rsp(struct frame *f, s32 bytes)
{
	if (!bytes)
		return;
	EMIT32("\x48\x81\xc4", (u32)bytes);
	f->depth -= bytes;
	orc_frame(f);
}

static void realign(struct frame *f)
{
	EMIT("\x4c\x8d\x54\x24\x08"); /* lea 8(%rsp), %r10 */
	EMIT("\x48\x83\xe4\xf0");     /* and $-16, %rsp */
	if (f->known)
		orc(KIND_CALL, REG_R10, 0, REG_UNDEFINED, 0);
	EMIT("\x41\xff\x72\xf8"); /* push -8(%r10) */
	emit_push(5);
	EMIT("\x48\x89\xe5"); /* mov %rsp, %rbp */
	if (f->known)
		orc(KIND_CALL, REG_R10, 0, REG_BP, 0);
	EMIT("\x41\x52"); /* push %r10 */
	orc_frame(f);
}

static void undo_realign(const struct frame *f)
{
	EMIT("\x48\x8d\x65\xf8"); /* lea -8(%rbp), %rsp */
	EMIT("\x41\x5a");	  /* pop %r10 */
	if (f->known)
		orc(KIND_CALL, REG_R10, 0, REG_BP, 0);
	emit_pop(5);
	if (f->known)
		orc(KIND_CALL, REG_R10, 0, REG_UNDEFINED, 0);
	EMIT("\x49\x8d\x62\xf8"); /* lea -8(%r10), %rsp */
}

static void prologue(struct frame *f)
{
	f->depth = 8;
	orc(f->known ? KIND_CALL : KIND_UNDEFINED, f->known ? REG_SP : 0, f->known ? 8 : 0,
	    REG_UNDEFINED, 0);
	if (f->realigned) {
		realign(f);
	} else if (f->by_rbp) {
		emit_push(5);
		if (f->known)
			orc(KIND_CALL, REG_SP, 16, REG_PREV_SP, -16);
		EMIT("\x48\x89\xe5");
		f->depth = 16;
		orc_frame(f);
	}
	for (u32 i = 0; i < 6; i++) {
		bool is_rbp = saved_regs[i] == 5;

		if (f->realigned || rnd(3) || (is_rbp && f->by_rbp))
			continue;
		f->saved[f->nr_saved++] = saved_regs[i];
		push_saved(f, saved_regs[i]);
		if (is_rbp)
			EMIT32("\x48\xc7\xc5", (u32)rnd(1u << 30)); /* mov $, %rbp */
	}
	f->locals = rnd(4) ? (u32)rnd(40) * 8 : 0;
	add_to_rsp(f, -(s32)f->locals);
}

static void epilogue(struct frame *f)
{
	if (f->realigned) {
		undo_realign(f);
	} else {
		add_to_rsp(f, (s32)f->locals);
		while (f->nr_saved)
			pop_saved(f, f->saved[--f->nr_saved]);
		if (f->by_rbp)
			emit_pop(5);
	}
	if (f->known)
		orc(KIND_CALL, REG_SP, 8, REG_UNDEFINED, 0);
}

/* A program: functions with these indices, and its four kinds of others. */
struct program {
	u32 first;			   /* function that anybody may call, to nr_funcs */
	u32 noreturn, sched;		   /* functions: never returns; sleeps */
	u64 kthread, user, irq, irq_stack; /* where tasks and interrupts begin */
};

/* One of the functions that were made shortly before. */
static u64 callee(const struct program *p)
{
	u32 made = nr_funcs - p->first;

	return funcs[nr_funcs - 1 - rnd(MIN(made, 7u))].start;
}

static void emit_call(u64 to)
{
	switch (rnd(4)) {
	case 0: /* lea to, %rax; call *%rax */
		EMIT_REL(INSN_PLAIN, "\x48\x8d\x05", to);
		emit(INSN_CALL, "\xff\xd0", 2, 0, 0);
		break;
	case 1: /* lea to, %r8; call *%r8 */
		EMIT_REL(INSN_PLAIN, "\x4c\x8d\x05", to);
		emit(INSN_CALL, "\x41\xff\xd0", 3, 0, 0);
		break;
	default:
		EMIT_REL(INSN_CALL, "\xe8", to);
	}
}

#define JZ  "\x74\x00"
#define JNZ "\x75\x00"

/*
 * A jump taken by chance: JZ in one of mask + 1 cases, JNZ in all others. Returns what
 * land_jump() wants to know.
 */
static u32 emit_chance(char mask, const char jump[2])
{
	char test[2] = {(char)0xa8, mask};

	EMIT_REL(INSN_PLAIN, "\x48\x8b\x05", DATA_RNG); /* mov rng, %rax */
	EMIT32("\x48\x69\xc0", 0x4c957f2d);		/* imul $, %rax, %rax */
	EMIT32("\x48\x05", 0x3c6ef372);			/* add $, %rax */
	EMIT_REL(INSN_PLAIN, "\x48\x89\x05", DATA_RNG); /* mov %rax, rng */
	EMIT("\x48\xc1\xe8\x21");			/* shr $33, %rax */
	emit(INSN_PLAIN, test, 2, 0, 0);		/* test $mask, %al */
	emit(INSN_PLAIN, jump, 2, 0, 0);
	return out->size;
}

static void land_jump(u32 from)
{
	out->code[from - 1] = (u8)(out->size - from);
}

static void emit_item(const struct program *p, struct frame *f)
{
	u32 from;

	switch (rnd(8)) {
	case 0: /* an address in a callee-saved register, for callees to save */
		if (f->nr_saved && f->saved[0] == 3)
			EMIT_REL(INSN_PLAIN, "\x48\x8d\x1d", some_address());
		break;
	case 1: /* an address in a local variable */
		if (!f->locals)
			break;
		EMIT_REL(INSN_PLAIN, "\x48\x8d\x05", some_address());
		EMIT32("\x48\x89\x84\x24", (u32)rnd(f->locals / 8) * 8);
		break;
	case 2: /* a word pushed for a while */
		if (f->by_rbp || f->realigned)
			break;
		push_saved(f, 1);
		from = emit_chance(1, JNZ);
		emit_call(callee(p));
		land_jump(from);
		pop_saved(f, 1);
		break;
	default:
		from = emit_chance(1, JNZ);
		emit_call(rnd(10) ? callee(p) : funcs[p->sched].start);
		land_jump(from);
	}
}

static void begin_func(void)
{
	bool pad = rnd(2); /* else it begins where a last call returns to */

	out = &texts[rnd(2)];
	while (pad && out->size % 16)
		out->code[out->size++] = 0xcc;
	funcs[nr_funcs].start = here();
}

static void end_func(void)
{
	funcs[nr_funcs].end = here();
	nr_funcs++;
}

static void make_function(const struct program *p)
{
	struct frame f = {.known = rnd(30) != 0};

	f.realigned = !rnd(12);
	f.by_rbp = !f.realigned && !rnd(4);
	begin_func();
	funcs[nr_funcs].unknown = !f.known;
	prologue(&f);
	for (u64 items = rnd(6); items; items--)
		emit_item(p, &f);
	if (!rnd(12)) { /* a call is the last instruction */
		u32 from = emit_chance(15, JZ);
		struct frame returns = f;

		epilogue(&returns);
		emit(INSN_RET, "\xc3", 1, 0, 0);
		land_jump(from);
		orc_frame(&f);
		EMIT_REL(INSN_CALL, "\xe8", funcs[p->noreturn].start);
	} else {
		epilogue(&f);
		if (!rnd(6))
			EMIT_REL(INSN_PLAIN, "\xe9", callee(p));
		else
			emit(INSN_RET, "\xc3", 1, 0, 0);
	}
	end_func();
}

/* As __switch_to_asm() does it. */
static u32 make_switch(void)
{
	struct frame f = {.known = true, .depth = 8};
	static const u8 order[] = {5, 3, 12, 13, 14, 15};

	begin_func();
	orc_frame(&f);
	for (u32 i = 0; i < 6; i++)
		push_saved(&f, order[i]);
	emit(INSN_SLEEP, "\x90", 1, 0, 0);
	for (u32 i = 6; i; i--)
		pop_saved(&f, order[i - 1]);
	emit(INSN_RET, "\xc3", 1, 0, 0);
	end_func();
	return nr_funcs - 1;
}

static u32 make_sched(u32 switch_to)
{
	struct frame f = {.known = true, .by_rbp = rnd(2)};

	begin_func();
	prologue(&f);
	emit_call(funcs[switch_to].start);
	epilogue(&f);
	emit(INSN_RET, "\xc3", 1, 0, 0);
	end_func();
	return nr_funcs - 1;
}

static u32 make_noreturn(u32 sched)
{
	struct frame f = {.known = true};

	begin_func();
	prologue(&f);
	emit_call(funcs[sched].start);
	emit(INSN_END, "\x90", 1, 0, 0);
	EMIT("\xf4");
	end_func();
	return nr_funcs - 1;
}

/* Code without a caller: it calls, and ends. */
static u64 make_start(u8 kind, u8 sp_reg, u64 to, enum insn end)
{
	begin_func();
	orc(kind, sp_reg, 0, REG_UNDEFINED, 0);
	EMIT_REL(INSN_CALL, "\xe8", to);
	emit(end, "\x90", 1, 0, 0);
	EMIT("\xf4");
	end_func();
	return funcs[nr_funcs - 1].start;
}

/* Changes to the interrupt stack for a call, as the kernel's handlers do. */
static u64 make_stack_switch(u64 to)
{
	begin_func();
	orc(KIND_CALL, REG_SP, 8, REG_UNDEFINED, 0);
	emit(INSN_PLAIN, "\x49\xbb", 2, IRQ_TOP - 8, 8); /* mov $, %r11 */
	EMIT("\x49\x89\x23");				 /* mov %rsp, (%r11) */
	EMIT("\x4c\x89\xdc");				 /* mov %r11, %rsp */
	orc(KIND_CALL, REG_SP_IND, 8, REG_UNDEFINED, 0);
	EMIT_REL(INSN_CALL, "\xe8", to);
	EMIT("\x5c"); /* pop %rsp */
	orc(KIND_CALL, REG_SP, 8, REG_UNDEFINED, 0);
	emit(INSN_RET, "\xc3", 1, 0, 0);
	end_func();
	return funcs[nr_funcs - 1].start;
}

static void make_program(struct program *p, u32 size)
{
	u64 handler;

	p->sched = make_sched(make_switch());
	p->noreturn = make_noreturn(p->sched);
	p->first = nr_funcs;
	/* A leaf, that the first ones can call. */
	begin_func();
	orc(KIND_CALL, REG_SP, 8, REG_UNDEFINED, 0);
	emit(INSN_RET, "\xc3", 1, 0, 0);
	end_func();
	for (u32 i = 0; i < size; i++)
		make_function(p);
	handler = funcs[p->first + size / 3].start;
	p->kthread = make_start(KIND_END, 0, funcs[p->first + size].start, INSN_END);
	p->user = make_start(KIND_REGS, REG_SP, funcs[p->first + size - 1].start, INSN_END);
	p->irq = make_start(KIND_REGS, REG_SP, handler, INSN_IRQ_END);
	p->irq_stack = make_start(KIND_REGS, REG_SP, make_stack_switch(handler), INSN_IRQ_END);
}

/* ---- the tables ---- */

static u8 encode_reg(u32 format, u8 reg)
{
	static const u8 regs_7_0[] = {
		[REG_UNDEFINED] = 0, [REG_PREV_SP] = 8, [REG_BP] = 4,	  [REG_SP] = 3,
		[REG_R10] = 6,	     [REG_BP_IND] = 10, [REG_SP_IND] = 9,
	};

	return format == SUTURE_ORC_7_0 ? regs_7_0[reg] : reg;
}

/* Write them as a kernel has them: addresses relative to themselves, and six bytes for each. */
static void write_tables(const struct text *t, u32 format, u64 ips_va, u8 *ips, u8 *entries)
{
	for (u32 i = 0; i < t->nr_orcs; i++) {
		const struct orc_record *r = &t->orcs[i];
		u32 distance = (u32)(r->ip - (ips_va + 4ull * i));
		u8 flags = r->kind;

		if (format == SUTURE_ORC_6_1)
			flags = r->kind == KIND_END ? 4 : r->kind == KIND_REGS ? 1 : 0;
		else if (r->kind == KIND_REGS)
			flags |= 8; /* signal */
		for (u32 b = 0; b < 4; b++)
			ips[4 * i + b] = (u8)(distance >> 8 * b);
		entries[6 * i] = (u8)r->sp_offset;
		entries[6 * i + 1] = (u8)(r->sp_offset >> 8);
		entries[6 * i + 2] = (u8)r->bp_offset;
		entries[6 * i + 3] = (u8)(r->bp_offset >> 8);
		entries[6 * i + 4] =
			(u8)(encode_reg(format, r->sp_reg) | encode_reg(format, r->bp_reg) << 4);
		entries[6 * i + 5] = flags;
	}
}

#endif
