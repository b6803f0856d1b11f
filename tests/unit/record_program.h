/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random A64 code like a compiler's, with frame records (AAPCS64): records below and above a
 * function's locals, X30 used while a record is being made, leaf functions, early exits, tail
 * calls, calls that never return; and trampolines and entries without records, in places of their
 * own. Functions call those made before them, so that every call tree is finite.
 */
#ifndef RECORD_PROGRAM_H
#define RECORD_PROGRAM_H

#include "synthetic.h"
#include "unwind_truth.h"

#define ENTRY	    (SYN_TEXT + 0xc0000)
#define TRAMPOLINES (SYN_TEXT + 0xe0000) /* to the end of text */
#define WORDS	    (SYN_TEXT_SIZE / 4)

#define FP 29u
#define LR 30u
#define SP 31u
#define X8 8u

static u8 insns[WORDS];	   /* enum insn, of each word */
static u8 chances[WORDS];  /* INSN_CHANCE: one in so many */
static u16 func_of[WORDS]; /* index into funcs */

/* Where code goes. */
static enum { COMPILED, ENTRIES, TRAMPOLINE_CODE } place;
static u64 next_code[] = {SYN_TEXT, ENTRY, TRAMPOLINES};
static const u64 end_of_code[] = {ENTRY, TRAMPOLINES, SYN_TEXT + SYN_TEXT_SIZE};

static u64 here(void)
{
	return next_code[place];
}

static u32 *code_at(u64 ip)
{
	return (u32 *)syn.text + (ip - SYN_TEXT) / 4;
}

/* ---- instructions ---- */

static void emit(enum insn kind, u32 insn)
{
	u64 word = (here() - SYN_TEXT) / 4;

	assert_true(here() < end_of_code[place]);
	insns[word] = (u8)kind;
	func_of[word] = (u16)nr_funcs;
	*code_at(here()) = insn;
	next_code[place] += 4;
}

static void emit_plain(u32 insn)
{
	emit(INSN_PLAIN, insn);
}

enum { STP = 0xa9000000, LDP = 0xa9400000, STP_PRE = 0xa9800000, LDP_POST = 0xa8c00000 };

static void emit_pair(u32 opcode, u32 first, u32 base, s32 offset)
{
	emit_plain(opcode | ((u32)(offset / 8) & 127) << 15 | (first + 1) << 10 | base << 5 |
		   first);
}

static void emit_add(u32 to, u32 from, s32 n)
{
	emit_plain((n < 0 ? 0xd1000000 : 0x91000000) | (u32)(n < 0 ? -n : n) << 10 | from << 5 |
		   to);
}

/* STUR and LDUR */
static void emit_word(bool store, u32 reg, u32 base, s32 offset)
{
	emit_plain((store ? 0xf8000000 : 0xf8400000) | ((u32)offset & 511) << 12 | base << 5 | reg);
}

static void emit_number(u32 reg, u64 n)
{
	for (u32 i = 0; i < 4; i++)
		emit_plain((i ? 0xf2800000 : 0xd2800000) | i << 21 |
			   (u32)(n >> (16 * i) & 0xffff) << 5 | reg);
}

static void emit_branch(enum insn kind, u32 opcode, u64 to)
{
	emit(kind, opcode | ((u32)((s64)(to - here()) / 4) & 0x3ffffff));
}

static void emit_ret(void)
{
	emit(INSN_RET, 0xd65f03c0);
}

static void emit_call(u64 to)
{
	if (rnd(3)) {
		emit_branch(INSN_CALL, 0x94000000, to);
		return;
	}
	emit_number(X8, to);
	emit(INSN_CALL, 0xd63f0000 | X8 << 5);
}

/* A jump that is taken once in `of` times; returns what land_jump() wants to know. */
static u64 emit_chance(u8 of)
{
	chances[(here() - SYN_TEXT) / 4] = of;
	emit(INSN_CHANCE, 0xd503201f); /* the test writes X16 */
	emit_plain(0x37000000 | 16);   /* tbnz w16, #0 */
	return here() - 4;
}

static void land_jump(u64 from)
{
	*code_at(from) |= (u32)((here() - from) / 4) << 5;
}

/* ---- functions ---- */

struct frame {
	bool is_signed, by_sub, scratch, dynamic;
	u32 pairs;	  /* of callee-saved registers, from X19 on */
	s32 locals;	  /* words */
	s32 record, size; /* the record's distance from the frame's lowest word; bytes */
	s32 first_local;  /* distances from the record */
	s32 first_pair;
};

/* The bits of a code (arch/fake), in an immediate that EOR has. */
static void emit_sign(const struct frame *f)
{
	if (f->is_signed)
		emit_plain(0xd2000000 | 1 << 22 | 16 << 16 | 5 << 10 | LR << 5 | LR);
}

static struct frame some_frame(void)
{
	struct frame f = {
		.is_signed = rnd(2),
		.by_sub = rnd(2),
		.scratch = !rnd(6),
		.dynamic = !rnd(8),
		.pairs = (u32)rnd(4),
		.locals = rnd(4) ? (s32)rnd(12) : 0,
	};

	f.size = (16 + 16 * (s32)f.pairs + 8 * f.locals + 15) & ~15;
	/* GCC puts the locals below the record where it guards them */
	f.record = f.by_sub ? (8 * f.locals + 15) & ~15 : 0;
	f.first_pair = 16;
	f.first_local = f.by_sub ? -f.record : 16 + 16 * (s32)f.pairs;
	return f;
}

static void prologue(const struct frame *f)
{
	emit_sign(f);
	if (f->by_sub) {
		emit_add(SP, SP, -f->size);
		emit_pair(STP, FP, SP, f->record);
	} else {
		emit_pair(STP_PRE, FP, SP, -f->size);
	}
	if (f->scratch)
		emit_number(LR, rnd(2) ? 0x4dd3 : some_address());
	emit_add(FP, SP, f->record);
	for (u32 i = 0; i < f->pairs; i++)
		emit_pair(STP, 19 + 2 * i, FP, f->first_pair + 16 * (s32)i);
	if (f->dynamic)
		emit_add(SP, SP, -16 * (1 + (s32)rnd(3)));
}

static void epilogue(const struct frame *f)
{
	if (f->dynamic)
		emit_add(SP, FP, -f->record);
	for (u32 i = f->pairs; i; i--)
		emit_pair(LDP, 17 + 2 * i, FP, f->first_pair + 16 * (s32)(i - 1));
	if (f->by_sub) {
		emit_pair(LDP, FP, SP, f->record);
		emit_add(SP, SP, f->size);
	} else {
		emit_pair(LDP_POST, FP, SP, f->size);
	}
	emit_sign(f);
}

/* Functions with these indices, and others. */
struct program {
	u32 first;		   /* function that anybody may call, to nr_funcs */
	u32 noreturn, sched;	   /* functions: never returns; sleeps */
	u64 start, irq, irq_stack; /* where tasks and interrupts begin */
};

static void begin_func(u32 where)
{
	place = where;
	while (rnd(2)) /* else it begins where a last call returns to */
		next_code[place] += 4;
	funcs[nr_funcs].start = here();
	funcs[nr_funcs].unknown = place == TRAMPOLINE_CODE;
}

static u32 end_func(void)
{
	funcs[nr_funcs].end = here();
	return nr_funcs++;
}

/* One of the functions that were made shortly before. */
static u64 callee(const struct program *p)
{
	u32 made = nr_funcs - p->first;

	return funcs[nr_funcs - 1 - rnd(MIN(made, 7u))].start;
}

static void emit_item(const struct program *p, const struct frame *f)
{
	u64 from;

	switch (rnd(8)) {
	case 0: /* an address in a callee-saved register, for callees to save */
		if (f->pairs)
			emit_number(19, some_address());
		break;
	case 1: /* an address in a local variable */
		if (!f->locals)
			break;
		emit_number(X8, some_address());
		emit_word(true, X8, FP, f->first_local + 8 * (s32)rnd((u64)f->locals));
		break;
	default:
		from = emit_chance(2);
		emit_call(rnd(10) ? callee(p) : funcs[p->sched].start);
		land_jump(from);
	}
}

static void make_leaf(void)
{
	bool has_frame = rnd(2);

	begin_func(COMPILED);
	if (has_frame) {
		emit_add(SP, SP, -32);
		emit_word(true, LR, SP, 8); /* an address like any */
		emit_add(SP, SP, 32);
	}
	emit_ret();
	end_func();
}

/* Its return address is in a word of its own, like a tracer's. */
static void make_trampoline(const struct program *p)
{
	begin_func(TRAMPOLINE_CODE);
	emit_add(SP, SP, -32);
	emit_word(true, LR, SP, 16);
	for (u64 calls = 1 + rnd(3); calls; calls--)
		emit_call(callee(p));
	emit_word(false, LR, SP, 16);
	emit_add(SP, SP, 32);
	emit_ret();
	end_func();
}

static void make_function(const struct program *p)
{
	struct frame f = some_frame();
	u64 from;

	begin_func(COMPILED);
	if (!rnd(5)) { /* an early exit */
		from = emit_chance(2);
		emit_ret();
		land_jump(from);
	}
	prologue(&f);
	for (u64 items = rnd(6); items; items--)
		emit_item(p, &f);
	if (!rnd(12)) { /* a call is the last instruction */
		from = emit_chance(16);
		epilogue(&f);
		emit_ret();
		land_jump(from);
		emit_branch(INSN_CALL, 0x94000000, funcs[p->noreturn].start);
	} else {
		epilogue(&f);
		if (!rnd(6))
			emit_branch(INSN_PLAIN, 0x14000000, callee(p));
		else
			emit_ret();
	}
	end_func();
}

/* As cpu_switch_to(): the test saves the registers. */
static u32 make_switch(void)
{
	begin_func(COMPILED);
	emit(INSN_SLEEP, 0xd503201f);
	emit_ret();
	return end_func();
}

static u32 make_sched(u32 switch_to)
{
	struct frame f = some_frame();

	begin_func(COMPILED);
	prologue(&f);
	emit_branch(INSN_CALL, 0x94000000, funcs[switch_to].start);
	epilogue(&f);
	emit_ret();
	return end_func();
}

static u32 make_noreturn(u32 sched)
{
	struct frame f = some_frame();

	begin_func(COMPILED);
	prologue(&f);
	emit_call(funcs[sched].start);
	emit(INSN_END, 0xd503201f);
	return end_func();
}

/* Code without a caller: it calls, and ends. */
static u64 make_start(u64 to, enum insn end)
{
	begin_func(ENTRIES);
	emit_branch(INSN_CALL, 0x94000000, to);
	emit(end, 0xd503201f);
	return funcs[end_func()].start;
}

/* As call_on_irq_stack(). */
static u64 make_stack_switch(u64 to, u64 top)
{
	begin_func(COMPILED);
	emit_pair(STP_PRE, FP, SP, -16);
	emit_add(FP, SP, 0);
	emit_number(16, top);
	emit_add(SP, 16, 0);
	emit_branch(INSN_CALL, 0x94000000, to);
	emit_add(SP, FP, 0);
	emit_pair(LDP_POST, FP, SP, 16);
	emit_ret();
	return funcs[end_func()].start;
}

static void make_program(struct program *p, u32 size, u64 irq_top)
{
	u64 handler;

	p->sched = make_sched(make_switch());
	p->noreturn = make_noreturn(p->sched);
	p->first = nr_funcs;
	make_leaf(); /* that the first ones can call */
	while (nr_funcs - p->first < size) {
		if (!rnd(8))
			make_leaf();
		else if (!rnd(30))
			make_trampoline(p);
		else
			make_function(p);
	}
	handler = funcs[p->first + size / 3].start;
	p->start = make_start(funcs[nr_funcs - 1].start, INSN_END);
	p->irq = make_start(handler, INSN_IRQ_END);
	p->irq_stack = make_start(make_stack_switch(handler, irq_top), INSN_IRQ_END);
}

#endif
