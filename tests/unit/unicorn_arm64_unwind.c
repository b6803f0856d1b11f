/* SPDX-License-Identifier: BSD-2-Clause */
/* The consistency check on arm64 against the truth (unwind_truth.h); interrupts have two stacks. */
#include <unicorn/unicorn.h>
#include "arch/pac.h"
#include "record_program.h"

#define CHECKS	  300000u
#define PROGRAMS  24u
#define FUNCTIONS 70u /* of each */
#define MAX_IRQS  3

/* struct pt_regs of Linux 6.1: X0 to X30, SP, PC, and a frame record */
enum { PT_SP = 31 * 8, PT_PC = 32 * 8, PT_RECORD = 304, PT_SIZE = 336 };

#define FINAL (PT_SIZE - PT_RECORD)

static struct {
	uc_engine *uc;
	struct program programs[PROGRAMS];
	const struct program *program;
	u64 task, elr;
	u32 irqs, countdown;
	enum insn stopped;
	u64 stopped_at;
	bool interrupt; /* stopped for one */
} run;

static int reg_id(u32 n)
{
	return n < 29 ? UC_ARM64_REG_X0 + (int)n : n == 29 ? UC_ARM64_REG_X29 : UC_ARM64_REG_X30;
}

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

static u16 func_at(u64 ip)
{
	return func_of[(ip - SYN_TEXT) / 4];
}

static void set_unwinding(bool on)
{
	guest_kernel.layout.final_record = on ? FINAL : 0;
}

/* Has the innermost function that address, or one of code without records? */
static bool has_below_record(u64 address)
{
	const struct vcpu_context *ctx = &syn.cpus[1].ctx;
	bool has = false;

	for (u32 i = 0; i < ctx->nr_regs; i++)
		has |= arch_strip_pac(ctx->regs[i]) - ENTRY <= SYN_TEXT + SYN_TEXT_SIZE - ENTRY;
	for (u64 at = ctx->sp; at < ctx->regs[FP]; at += 8) {
		u64 word = arch_strip_pac(syn_get(at));

		has |= word == address || word - ENTRY <= SYN_TEXT + SYN_TEXT_SIZE - ENTRY;
	}
	return has;
}

/* Left are registers, ip, and what the innermost function of a CPU may return to. */
static void judge_false_hit(const struct transition_report *r, u64 ip, bool sleeps)
{
	if (!can_unwind(ip, sleeps) || (!sleeps && ip >= ENTRY))
		return;
	if (sleeps)
		assert_string_equal(r->blocker.where, "saved register");
	else if (strcmp(r->blocker.where, "ip") != 0 && strcmp(r->blocker.where, "register") != 0)
		assert_true(has_below_record(r->blocker.address));
}

static void run_on_cpu(u64 task)
{
	struct syn_cpu *c = &syn.cpus[1];

	syn_set32(run.task + TASK_ON_CPU, task == run.task);
	syn_set32(c->idle + TASK_ON_CPU, task == c->idle);
	syn_set(c->base + PCPU_CURRENT, task);
	c->ctx = (struct vcpu_context){.percpu_base = c->base, .user = task == c->idle};
}

static void check_running(u64 ip)
{
	struct vcpu_context *ctx = &syn.cpus[1].ctx;

	run_on_cpu(run.task);
	ctx->ip = ip;
	ctx->sp = read_reg(UC_ARM64_REG_SP);
	for (u32 i = 0; i <= LR; i++)
		ctx->regs[ctx->nr_regs++] = read_reg(reg_id(i));
	ctx->regs[ctx->nr_regs++] = run.elr;
	syn_put_context(1);
	truth.running++;
	truth.on_irq_stack += ctx->sp - syn.cpus[1].irq < SYN_IRQ_SIZE;
	compare(ip, false, run.program->first, FUNCTIONS);
}

/* The task sleeps: its CPU runs the idle task, for which user mode stands here. */
static void check_sleeping(u64 ip)
{
	u64 sp = read_reg(UC_ARM64_REG_SP);

	if (sp < syn_stack(run.task) || sp >= syn_stack_end(run.task))
		return;
	run_on_cpu(syn.cpus[1].idle);
	syn_put_context(1);
	for (u32 i = 0; i < 10; i++)
		syn_set(run.task + TASK_REGS + 8ull * i, read_reg(reg_id(19 + i)));
	syn_set(run.task + TASK_SP - 8, read_reg(UC_ARM64_REG_X29));
	syn_set(run.task + TASK_SP, sp);
	syn_set(run.task + TASK_PC, read_reg(UC_ARM64_REG_X30));
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
	u64 word = (ip - SYN_TEXT) / 4;
	enum insn kind = (enum insn)insns[word];

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
	case INSN_CHANCE:
		write_reg(UC_ARM64_REG_X16, !rnd(chances[word]));
		break;
	case INSN_SLEEP:
		check_sleeping(ip);
		break;
	case INSN_CALL:
		push_active(ip + size, func_at(ip), false);
		break;
	case INSN_RET:
		assert_true(truth.depth);
		assert_int_equal(read_reg(UC_ARM64_REG_X30), truth.active[--truth.depth].ip);
		break;
	default:
		break;
	}
}

/* ---- between instructions ---- */

/* A kernel thread begins, or a task that came from user mode with these registers. */
static void restart(void)
{
	u64 regs = syn_stack_end(run.task) - PT_SIZE;

	run.program = &run.programs[rnd(PROGRAMS)];
	truth.depth = run.irqs = 0;
	for (u64 at = regs; at < syn_stack_end(run.task); at += 8)
		syn_set(at, some_address());
	syn_set(regs + PT_RECORD, 0);
	syn_set(regs + PT_RECORD + 8, 0);
	write_reg(UC_ARM64_REG_SP, regs);
	write_reg(UC_ARM64_REG_X29, regs + PT_RECORD);
	write_reg(UC_ARM64_REG_PC, run.program->start);
}

/* As the CPU and the entry code do it. */
static void interrupt(void)
{
	u64 pc = read_reg(UC_ARM64_REG_PC), sp = read_reg(UC_ARM64_REG_SP);
	u64 at = sp - PT_SIZE;
	bool nested = run.irqs; /* then the other stack may be in use */

	for (u32 i = 0; i <= LR; i++)
		syn_set(at + 8ull * i, read_reg(reg_id(i)));
	syn_set(at + PT_SP, sp);
	syn_set(at + PT_PC, pc);
	syn_set(at + PT_RECORD, read_reg(UC_ARM64_REG_X29));
	syn_set(at + PT_RECORD + 8, pc);
	push_active(pc, func_at(pc), true);
	run.elr = pc;
	run.irqs++;
	truth.interrupted++;
	write_reg(UC_ARM64_REG_SP, at);
	write_reg(UC_ARM64_REG_X29, at + PT_RECORD);
	write_reg(UC_ARM64_REG_PC, nested || rnd(2) ? run.program->irq : run.program->irq_stack);
}

static void return_from_interrupt(void)
{
	u64 at = read_reg(UC_ARM64_REG_SP);

	for (u32 i = 0; i <= LR; i++)
		write_reg(reg_id(i), syn_get(at + 8ull * i));
	write_reg(UC_ARM64_REG_SP, syn_get(at + PT_SP));
	write_reg(UC_ARM64_REG_PC, syn_get(at + PT_PC));
	run.irqs--;
	assert_true(truth.depth && truth.active[truth.depth - 1].interrupted);
	assert_int_equal(syn_get(at + PT_PC), truth.active[--truth.depth].ip);
}

static void map_memory(u64 va, u64 size, u32 prot)
{
	assert_int_equal(uc_mem_map_ptr(run.uc, va, size, prot, syn_at(va)), UC_ERR_OK);
}

static int setup(void **state)
{
	struct suture_layout *l = &guest_kernel.layout;
	uc_hook hook;

	(void)state;
	syn_new(1);
	run.task = syn_task(100, "task");
	l->pcpu_exc_stacks = l->pcpu_entry_stack = l->pcpu_rq = 0;
	l->exc_stacks_size = l->entry_stack_size = 0;
	l->task_pc = TASK_PC;
	l->task_regs = TASK_REGS;
	l->task_nr_regs = SYN_SAVED_REGS;
	l->entry = (struct suture_code){ENTRY, TRAMPOLINES};
	l->nr_trampolines = 1;
	l->trampolines[0] = (struct suture_code){TRAMPOLINES, SYN_TEXT + SYN_TEXT_SIZE};
	for (u32 i = 0; i < PROGRAMS; i++)
		make_program(&run.programs[i], FUNCTIONS, syn.cpus[1].irq + SYN_IRQ_SIZE - 16);
	if (uc_open(UC_ARCH_ARM64, UC_MODE_ARM, &run.uc) ||
	    uc_hook_add(run.uc, &hook, UC_HOOK_CODE, (void *)step, NULL, 1, 0))
		return -1;
	map_memory(SYN_TEXT, SYN_TEXT_SIZE, UC_PROT_READ | UC_PROT_EXEC);
	map_memory(syn_stack(run.task), SYN_THREAD_SIZE, UC_PROT_READ | UC_PROT_WRITE);
	map_memory(syn.cpus[1].irq, SYN_IRQ_SIZE, UC_PROT_READ | UC_PROT_WRITE);
	run.countdown = 1;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return uc_close(run.uc);
}

static void never_safe_when_it_is_not(void **state)
{
	(void)state;
	restart();
	while (truth.checks < CHECKS) {
		u64 pc = read_reg(UC_ARM64_REG_PC);
		uc_err err;

		run.stopped = INSN_NONE;
		err = uc_emu_start(run.uc, pc, 0, 0, 0);
		pc = read_reg(UC_ARM64_REG_PC);
		if (err || run.stopped == INSN_NONE)
			fail_msg("%s at %#llx", uc_strerror(err), (unsigned long long)pc);
		assert_int_equal(pc, run.stopped_at);
		if (run.interrupt)
			interrupt();
		else if (run.stopped == INSN_IRQ_END)
			return_from_interrupt();
		else
			restart();
	}
	print_truth("frame records");
	assert_truth();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(never_safe_when_it_is_not),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
