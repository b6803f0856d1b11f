/* SPDX-License-Identifier: BSD-2-Clause */
/* The consistency check on x86 against the truth (unwind_truth.h); interrupts have two stacks. */
#include "orc_guest.h"
#include "patch/check/check.h"

#define CHECKS	  100000u /* in each format */
#define PROGRAMS  24u
#define FUNCTIONS 70u /* of each */
#define MAX_IRQS  3

/* ---- a run, and what is true ---- */

static struct {
	uc_engine *uc;
	struct program programs[PROGRAMS];
	const struct program *program;
	u32 irqs, countdown;
	u32 format;
	enum insn stopped;
	u64 stopped_at;
	bool interrupt; /* stopped for one */
} run;

static const int registers[] = {
	UC_X86_REG_RAX, UC_X86_REG_RCX, UC_X86_REG_RDX, UC_X86_REG_RBX, UC_X86_REG_RBP,
	UC_X86_REG_RSI, UC_X86_REG_RDI, UC_X86_REG_R8,	UC_X86_REG_R9,	UC_X86_REG_R10,
	UC_X86_REG_R11, UC_X86_REG_R12, UC_X86_REG_R13, UC_X86_REG_R14, UC_X86_REG_R15,
};

/* Where struct pt_regs has them. */
static const u32 pt_regs[] = {80, 88, 96, 40, 32, 104, 112, 72, 64, 56, 48, 24, 16, 8, 0};

static u64 read_reg(int reg)
{
	u64 v = 0;

	assert_int_equal(uc_reg_read(run.uc, reg, &v), UC_ERR_OK);
	return v;
}

static void write_reg(int reg, u64 v)
{
	assert_int_equal(uc_reg_write(run.uc, reg, &v), UC_ERR_OK);
}

static const struct text *text_of(u64 ip)
{
	return ip - TEXT < TEXT_SIZE ? &texts[0] : &texts[1];
}

static u16 func_at(u64 ip)
{
	const struct text *t = text_of(ip);

	return t->func[ip - t->base];
}

static void set_unwinding(bool on)
{
	guest_kernel.layout.orc_format = on ? run.format : SUTURE_ORC_NONE;
}

/* Left are registers, and the rule for the end of a function, where ip is. */
static void judge_false_hit(const struct transition_report *r, u64 ip, bool sleeps)
{
	if (can_unwind(ip, sleeps) && strcmp(r->blocker.where, "ip") != 0)
		assert_string_equal(r->blocker.where, "register");
}

static void check_running(u64 ip)
{
	u64 sp = read_reg(UC_X86_REG_RSP);

	context = (struct vcpu_context){
		.ip = ip, .sp = sp, .percpu_base = DATA + PERCPU, .nr_regs = ARRAY_SIZE(registers)};
	for (u32 i = 0; i < ARRAY_SIZE(registers); i++)
		context.regs[i] = read_reg(registers[i]);
	set(DATA + PERCPU + F_CURRENT, DATA + TASK);
	set32(DATA + TASK + T_ON_CPU, 1);
	set32(DATA + IDLE + T_ON_CPU, 0);
	set(DATA + IDLE + T_SP, IDLE_STACK + THREAD_SIZE);
	truth.running++;
	truth.on_irq_stack += sp >= IRQ_TOP - IRQ_SIZE;
	compare(ip, false, run.program->first, FUNCTIONS);
}

/* The task sleeps: its CPU runs the idle task, for which user mode stands here. */
static void check_sleeping(u64 ip)
{
	u64 sp = read_reg(UC_X86_REG_RSP);

	if (sp < TASK_STACK || sp >= STACK_TOP)
		return;
	context = (struct vcpu_context){.percpu_base = DATA + PERCPU, .user = true};
	set(DATA + PERCPU + F_CURRENT, DATA + IDLE);
	set32(DATA + TASK + T_ON_CPU, 0);
	set32(DATA + IDLE + T_ON_CPU, 1);
	set(DATA + TASK + T_SP, sp);
	truth.sleeping++;
	compare(ip, true, run.program->first, FUNCTIONS);
}

static void stop(u64 ip, enum insn kind, bool interrupt)
{
	run.stopped_at = ip;
	run.stopped = kind;
	run.interrupt = interrupt;
	uc_emu_stop(run.uc);
}

/* Before each instruction. */
static void step(uc_engine *uc, uint64_t ip, uint32_t size, void *arg)
{
	const struct text *t = text_of(ip);
	enum insn kind = (enum insn)t->insn[ip - t->base];

	(void)uc, (void)arg;
	assert_int_not_equal(kind, INSN_NONE);
	if (kind == INSN_END || kind == INSN_IRQ_END) {
		stop(ip, kind, false);
		return;
	}
	if (run.irqs < MAX_IRQS && !rnd(200)) {
		stop(ip, kind, true);
		return;
	}
	if (!--run.countdown) {
		run.countdown = 1 + (u32)rnd(60);
		check_running(ip);
	}
	switch (kind) {
	case INSN_SLEEP:
		check_sleeping(ip);
		break;
	case INSN_CALL:
		push_active(ip + size, func_at(ip), false);
		break;
	case INSN_RET:
		assert_true(truth.depth);
		assert_int_equal(get(read_reg(UC_X86_REG_RSP)), truth.active[--truth.depth].ip);
		break;
	default:
		break;
	}
}

/* ---- between instructions ---- */

/* A kernel thread, or a task that came from user mode, begins. */
static void restart(void)
{
	run.program = &run.programs[rnd(PROGRAMS)];
	truth.depth = run.irqs = 0;
	write_reg(UC_X86_REG_RSP, STACK_TOP - REGS_SIZE);
	write_reg(UC_X86_REG_RIP, run.program->kthread);
	for (u32 i = 0; i < REGS_SIZE; i += 8)
		set(STACK_TOP - REGS_SIZE + i, some_address());
	if (!rnd(2))
		return;
	write_reg(UC_X86_REG_RIP, run.program->user);
	set(STACK_TOP - 32, 0x33);
}

/* As the CPU and the entry code do it. */
static void interrupt(void)
{
	u64 rip = read_reg(UC_X86_REG_RIP), rsp = read_reg(UC_X86_REG_RSP);
	u64 at = ALIGN_DOWN(rsp, 16) - REGS_SIZE;
	bool nested = run.irqs; /* then the other stack may be in use */

	for (u32 i = 0; i < ARRAY_SIZE(registers); i++)
		set(at + pt_regs[i], read_reg(registers[i]));
	set(at + 120, ~0ull);
	set(at + 128, rip);
	set(at + 136, 0x10);
	set(at + 144, read_reg(UC_X86_REG_RFLAGS));
	set(at + 152, rsp);
	set(at + 160, 0x18);
	push_active(rip, func_at(rip), true);
	run.irqs++;
	truth.interrupted++;
	write_reg(UC_X86_REG_RSP, at);
	write_reg(UC_X86_REG_RIP, nested || rnd(2) ? run.program->irq : run.program->irq_stack);
}

static void return_from_interrupt(void)
{
	u64 at = read_reg(UC_X86_REG_RSP);

	for (u32 i = 0; i < ARRAY_SIZE(registers); i++)
		write_reg(registers[i], get(at + pt_regs[i]));
	write_reg(UC_X86_REG_RFLAGS, get(at + 144));
	write_reg(UC_X86_REG_RSP, get(at + 152));
	write_reg(UC_X86_REG_RIP, get(at + 128));
	run.irqs--;
	assert_true(truth.depth && truth.active[truth.depth - 1].interrupted);
	assert_int_equal(get(at + 128), truth.active[--truth.depth].ip);
}

static int setup(void **state)
{
	uc_hook hook;

	(void)state;
	for (u32 i = 0; i < PROGRAMS; i++)
		make_program(&run.programs[i], FUNCTIONS);
	make_guest();
	if (uc_open(UC_ARCH_X86, UC_MODE_64, &run.uc) ||
	    uc_hook_add(run.uc, &hook, UC_HOOK_CODE, (void *)step, NULL, 1, 0))
		return -1;
	for (u32 i = 0; i < ARRAY_SIZE(memory); i++)
		if (uc_mem_map_ptr(run.uc, memory[i].base, memory[i].size, memory[i].prot,
				   memory[i].bytes))
			return -1;
	run.countdown = 1;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return uc_close(run.uc);
}

static void run_and_compare(u32 checks)
{
	restart();
	while (truth.checks < checks) {
		u64 rip = read_reg(UC_X86_REG_RIP);
		uc_err err;

		run.stopped = INSN_NONE;
		err = uc_emu_start(run.uc, rip, 0, 0, 0);
		rip = read_reg(UC_X86_REG_RIP);
		if (err || run.stopped == INSN_NONE)
			fail_msg("%s at %#llx", uc_strerror(err), (unsigned long long)rip);
		assert_int_equal(rip, run.stopped_at);
		if (run.interrupt)
			interrupt();
		else if (run.stopped == INSN_IRQ_END)
			return_from_interrupt();
		else
			restart();
	}
}

static void never_safe_when_it_is_not(void **state)
{
	static const struct {
		u32 format;
		const char *name;
	} formats[] = {{SUTURE_ORC_6_1, "ORC of 6.1"},
		       {SUTURE_ORC_6_4, "ORC of 6.4"},
		       {SUTURE_ORC_7_0, "ORC of 7.0"}};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(formats); i++) {
		run.format = formats[i].format;
		make_tables(run.format);
		truth = (struct truth){0};
		run_and_compare(CHECKS);
		print_truth(formats[i].name);
		assert_truth();
		assert_true(truth.with < truth.without / 2);
	}
}

/* ---- by hand ---- */

#define INSIDE (funcs[run.program->sched].start + 1)

static int sleeper_is(u64 sp)
{
	static struct transition_report report;
	const struct func *f = &funcs[run.program->sched];
	struct check_range range = {f->start, f->end, "sched"};
	struct pause pause = {.deadline_us = UINT64_MAX};

	context = (struct vcpu_context){.percpu_base = DATA + PERCPU, .user = true};
	set(DATA + PERCPU + F_CURRENT, DATA + IDLE);
	set32(DATA + TASK + T_ON_CPU, 0);
	set32(DATA + IDLE + T_ON_CPU, 1);
	set(DATA + TASK + T_SP, sp);
	return check_run(&pause, NULL, &range, 1, NULL, &report);
}

/* A task that was switched away from when it stood at `ip`; a stale word is among its registers. */
static u64 make_sleeper(u64 frame, u64 ip)
{
	u64 sp = frame - 56;

	for (u64 at = sp; at < STACK_TOP; at += 8)
		set(at, 0);
	set(sp, INSIDE);
	set(frame - 8, ip);
	return sp;
}

static int setup_by_hand(void **state)
{
	(void)state;
	run.program = &run.programs[0];
	make_tables(SUTURE_ORC_6_4);
	return 0;
}

static void the_end_is_believed_at_the_top_only(void **state)
{
	u64 behind = run.program->kthread + 5, top = STACK_TOP - REGS_SIZE;
	const u64 ends[] = {top, top - 16, top - 56, top - 72};
	const u64 wrong[] = {top + 8, top + 64, STACK_TOP, top - 80, top - 1024};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(ends); i++)
		assert_int_equal(sleeper_is(make_sleeper(ends[i], behind)), 0);
	for (u32 i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(sleeper_is(make_sleeper(wrong[i], behind)), -EBUSY);
}

static void a_task_that_has_not_run_yet(void **state)
{
	u64 entry = run.program->kthread;

	(void)state;
	assert_int_equal(sleeper_is(make_sleeper(STACK_TOP - REGS_SIZE, entry)), 0);
	assert_int_equal(sleeper_is(make_sleeper(STACK_TOP - REGS_SIZE - 256, entry)), -EBUSY);
}

/* As tracers leave it: the true return address is elsewhere, and this one has tables. */
static void a_return_address_that_no_call_left(void **state)
{
	u64 top = STACK_TOP - REGS_SIZE, leaf = funcs[run.program->first].start;
	u64 sp = make_sleeper(top - 256, leaf + 1);

	(void)state;
	/* in the leaf, the caller's address is the next word */
	for (u64 at = top - 256; at < top; at += 8)
		set(at, leaf + 1);
	set(top - 8, run.program->kthread + 5);
	assert_int_equal(sleeper_is(sp), -EBUSY);
	for (u32 len = 2; len <= 7; len++) {
		static const u8 calls[][7] = {
			{0xff, 0xd0},			   /* *%rax */
			{0xff, 0x50, 8},		   /* *8(%rax) */
			{0xff, 0x54, 0x24, 8},		   /* *8(%rsp) */
			{0xe8, 1, 2, 3, 4},		   /* direct */
			{0xff, 0x15, 1, 2, 3, 4},	   /* *x(%rip) */
			{0xff, 0x14, 0xc5, 1, 2, 3, 0x81}, /* *x(,%rax,8) */
		};
		struct text *t = leaf - TEXT < TEXT_SIZE ? &texts[0] : &texts[1];
		u8 *call = t->code + (leaf + 1 - t->base) - len, kept[8];

		memcpy(kept, call, len);
		memcpy(call, calls[len - 2], len);
		assert_int_equal(sleeper_is(sp), 0);
		/* a jump instead: FF /4 */
		call[0] = 0xff;
		call[1] = (u8)((call[1] & ~0x38) | 0x20);
		assert_int_equal(sleeper_is(sp), -EBUSY);
		memcpy(call, kept, len);
	}
	assert_int_equal(sleeper_is(sp), -EBUSY);
}

/* FF 14 and no more: the byte that would end the instruction is not before the address. */
static void half_a_call_is_none(void **state)
{
	u64 top = STACK_TOP - REGS_SIZE, leaf = funcs[run.program->first].start;
	u64 sp = make_sleeper(top - 256, leaf + 1);
	struct text *t = leaf - TEXT < TEXT_SIZE ? &texts[0] : &texts[1];
	u8 *call = t->code + (leaf + 1 - t->base) - 2, kept[2];

	(void)state;
	for (u64 at = top - 256; at < top; at += 8)
		set(at, leaf + 1);
	set(top - 8, run.program->kthread + 5);
	memcpy(kept, call, sizeof(kept));
	memcpy(call, "\xff\x14", 2);
	assert_int_equal(sleeper_is(sp), -EBUSY);
	memcpy(call, kept, sizeof(kept));
}

/* Interrupted kernel code may have a return address in a register. */
static void registers_of_interrupted_code_stand(void **state)
{
	u64 regs = STACK_TOP - 1024, frame = regs, behind = run.program->irq + 5;
	u64 top = STACK_TOP - REGS_SIZE, sp = make_sleeper(frame, behind);

	(void)state;
	set(regs + 128, funcs[run.program->first].start); /* a leaf, at its first instruction */
	set(regs + 136, 0x10);
	set(regs + 152, top - 8);
	set(top - 8, run.program->kthread + 5);
	set(regs + REGS_SIZE, INSIDE); /* above them: a stale word */
	assert_int_equal(sleeper_is(sp), 0);
	for (u64 at = regs; at < regs + REGS_SIZE; at += 8) {
		u64 kept = get(at);

		if (at == regs + 128 || at == regs + 136 || at == regs + 152)
			continue;
		set(at, INSIDE);
		assert_int_equal(sleeper_is(sp), -EBUSY);
		set(at, kept);
	}
	set(regs + 128, INSIDE);
	assert_int_equal(sleeper_is(sp), -EBUSY);
	set(regs + 128, funcs[run.program->first].start);
	/* of user mode, but not where these are */
	set(regs + 136, 0x33);
	assert_int_equal(sleeper_is(sp), -EBUSY);
	/* of user mode, where they are: whatever the user had in them */
	sp = make_sleeper(top, behind);
	for (u64 at = top; at < STACK_TOP; at += 8)
		set(at, INSIDE);
	set(top + 136, 0x33);
	assert_int_equal(sleeper_is(sp), 0);
	sp = make_sleeper(top - 16, behind); /* the padding of 6.9 */
	set(top - 16 + 136, 0x33);
	assert_int_equal(sleeper_is(sp), 0);
}

/* Whatever the tables, the modules and the stack hold: an answer. */
static void any_memory_gets_an_answer(void **state)
{
	u32 safe = 0;

	(void)state;
	for (u32 i = 0; i < 3000; i++) {
		u64 sp = make_sleeper(STACK_TOP - REGS_SIZE - 8 * rnd(200), some_address());

		for (u64 at = sp; at < STACK_TOP; at += 8)
			set(at, rnd(3)	 ? some_address()
				: rnd(2) ? TASK_STACK + rnd(THREAD_SIZE)
					 : ~rnd(1u << 20));
		for (u32 n = 0; n < 200; n++)
			data[TABLES + rnd(2 * TABLES_SIZE)] = (u8)rnd(256);
		if (!rnd(4))
			set(MODULES + 8 * rnd(0x200 / 8), some_address());
		safe += !sleeper_is(sp);
		if (i % 100 == 0)
			make_guest();
		if (i % 100 == 0)
			make_tables(1 + (u32)rnd(2));
	}
	print_message("any memory: %u of 3000 safe\n", safe);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(never_safe_when_it_is_not),
		cmocka_unit_test_setup(the_end_is_believed_at_the_top_only, setup_by_hand),
		cmocka_unit_test_setup(a_task_that_has_not_run_yet, setup_by_hand),
		cmocka_unit_test_setup(a_return_address_that_no_call_left, setup_by_hand),
		cmocka_unit_test_setup(half_a_call_is_none, setup_by_hand),
		cmocka_unit_test_setup(registers_of_interrupted_code_stand, setup_by_hand),
		cmocka_unit_test_setup(any_memory_gets_an_answer, setup_by_hand),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
