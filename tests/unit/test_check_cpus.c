/* SPDX-License-Identifier: BSD-2-Clause */
/* Running tasks: their stacks and the registers of their CPUs. */
#include "check_rig.h"

/* ---- tasks that run ---- */

static void from_the_cpus_stack_pointer(void **state)
{
	u64 sp;

	(void)state;
	syn_sleep(sleeper, 0x2000); /* left from when it slept */
	sp = syn_run(2, sleeper, 0x100);
	assert_seen(sp, 100, "stack");
	assert_seen(syn_stack_end(sleeper) - 8, 100, "stack");
	assert_unseen(sp - 8);
	syn_set(sleeper + TASK_SP, syn_stack_end(sleeper) - 8);
	assert_seen(sp, 100, "stack"); /* not from what was saved */
}

static void user_mode_has_an_empty_kernel_stack(void **state)
{
	struct vcpu_context *ctx = &syn.cpus[2].ctx;
	u64 sp = syn_run(2, sleeper, 0x100);

	(void)state;
	ctx->user = true;
	ctx->ip = INSIDE; /* the user's: any value */
	ctx->nr_regs = 2;
	ctx->regs[0] = ctx->regs[1] = INSIDE;
	ctx->sp = 0x7ffc00001000;
	syn_put_context(2);
	assert_unseen(sp);
	assert_unseen(syn_stack(sleeper));
	assert_unseen(syn.cpus[2].irq);
	assert_unseen(syn.cpus[2].entry);
	/* a kernel address, or a task's stack, as the user's stack pointer */
	ctx->sp = 0xffffdead00000000;
	syn_put_context(2);
	assert_unseen(sp);
	ctx->sp = syn_stack_end(syn.cpus[3].idle) - 8;
	syn_put_context(2);
	assert_unseen(sp);
	assert_seen(syn.cpus[3].ctx.sp, 0, "stack");
	ctx->sp = syn.cpus[2].irq + 0x100;
	syn_put_context(2);
	assert_unseen(ctx->sp);
	/* a task that is not running, whatever its CPU does */
	syn_sleep(sleeper, 0x80);
	assert_seen(syn_stack_end(sleeper) - 0x80, 100, "stack");
	syn_set32(sleeper + TASK_ON_CPU, 1);
	/* but then not for a task that is only said to run */
	syn_set(syn.cpus[2].base + PCPU_CURRENT, syn.cpus[2].idle);
	assert_seen(sp, 100, "stack");
}

/* With page-table isolation: the user's tables map other pages at the addresses of the stacks. */
static void a_cpu_in_user_mode_has_other_tables(void **state)
{
	u64 *user = arch_ptr(PA(syn.root.v + PAGE_SIZE)), sp = syn_sleep(sleeper, 0x100);
	const struct pt_format *f = arch_guest_format(syn.levels);
	struct vcpu_context *ctx = &syn.cpus[2].ctx;

	(void)state;
	user[pt_index(f, SYN_VMAP, f->top_level)] = 0;
	fake_map_new(IPA(syn.root.v + PAGE_SIZE), syn.levels, SYN_VMAP, syn.next_vmap - SYN_VMAP,
		     PT_READ | PT_WRITE);
	ctx->user = true;
	ctx->sp = 0x7ffc00001000;
	syn_put_context(2);
	assert_seen(sp, 100, "stack");
	assert_seen(syn.cpus[3].ctx.sp, 0, "stack");
}

/* Before and after the stack pointer changes, both tasks are on_cpu. */
static void a_context_switch_is_two_stacks(void **state)
{
	u64 next = syn_task(200, "next"), sp = syn_run(2, sleeper, 0x100);

	(void)state;
	syn_sleep(next, 0x100);
	syn_set32(next + TASK_ON_CPU, 1);
	assert_seen(sp, 100, "stack");
	assert_unseen(sp - 8);
	assert_seen(syn_stack_end(next) - 0x100, 200, "stack");
	assert_seen(syn_stack(next), 200, "stack"); /* all of it: in doubt */
	/* now on the stack of the next, `current` not yet or already */
	syn.cpus[2].ctx.sp = syn_stack_end(next) - 0x80;
	syn_put_context(2);
	for (int i = 0; i < 2; i++) {
		assert_seen(syn_stack(sleeper), 100, "stack");
		assert_seen(syn_stack_end(next) - 0x80, 200, "stack");
		assert_unseen(syn_stack_end(next) - 0x88);
		syn_set(syn.cpus[2].base + PCPU_CURRENT, next);
	}
}

static void a_cpu_on_the_stack_of_a_task_that_does_not_run(void **state)
{
	(void)state;
	syn_run(2, sleeper, 0x100);
	syn_sleep(sleeper, 0x80);
	assert_seen(syn_stack(sleeper), 100, "stack");
}

static void two_cpus_on_one_stack(void **state)
{
	u64 sp = syn_run(1, sleeper, 0x100);

	(void)state;
	syn_run(2, sleeper, 0x200);
	syn_run(3, sleeper, 0x80);
	syn_set32(sleeper + TASK_ON_CPU, 1);
	assert_seen(sp - 0x100, 100, "stack");
	assert_unseen(sp - 0x108);
}

/*
 * One CPU is in user mode, another is in the kernel with the same task: its stack must be checked.
 */
static void user_mode_of_one_cpu_does_not_excuse_another(void **state)
{
	(void)state;
	syn_run(1, sleeper, 0x100);
	syn_run(2, sleeper, 0x100);
	syn_set32(sleeper + TASK_ON_CPU, 1);
	syn.cpus[1].ctx.user = true;
	syn.cpus[2].ctx.sp = 0x7ffc00001000;
	syn.cpus[2].ctx.sp_is_users = true;
	syn_put_context(1);
	syn_put_context(2);
	assert_seen(syn_stack(sleeper), 100, "stack");
}

static void idle_tasks(void **state)
{
	u64 idle = syn.cpus[2].idle;

	(void)state;
	assert_seen(syn.cpus[1].ctx.sp, 0, "stack");
	assert_string_equal(report.blocker.comm, "");
	syn_run(2, sleeper, 64);
	syn_sleep(idle, 0x200);
	assert_seen(syn_stack_end(idle) - 0x200, 0, "stack");
	assert_unseen(syn_stack_end(idle) - 0x208);
	syn_set(syn.cpus[2].base + PCPU_IDLE, sleeper);
	assert_not_judged(-ELOOP, "idle");
}

/* do_exit() takes a task off the list; it runs on until it is switched away. */
static void a_running_task_that_is_on_no_list(void **state)
{
	u64 dying = syn_loose_task(300, "dying"), sp = syn_run(3, dying, 0x100);

	(void)state;
	assert_seen(sp, 300, "stack");
	assert_unseen(sp - 8);
	/* on its IRQ stack */
	syn.cpus[3].ctx.sp = syn.cpus[3].irq + SYN_IRQ_SIZE - 64;
	syn_put_context(3);
	assert_seen(syn_stack(dying), 300, "stack");
}

/* ---- CPUs ---- */

static void instruction_pointers_and_registers(void **state)
{
	struct vcpu_context *ctx = &syn.cpus[2].ctx;

	(void)state;
	syn_run(2, sleeper, 64);
	for (size_t i = 0; i < ARRAY_SIZE(hits); i++) {
		ctx->ip = hits[i];
		syn_put_context(2);
		assert_blocked(100, "ip");
		assert_int_equal(report.blocker.address, hits[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(misses); i++) {
		ctx->ip = misses[i];
		syn_put_context(2);
		assert_safe();
	}
	for (u32 r = 0; r < VCPU_MAX_REGS; r++) {
		ctx->nr_regs = r + 1;
		ctx->regs[r] = INSIDE;
		syn_put_context(2);
		assert_blocked(100, "register");
		ctx->nr_regs = r;
		syn_put_context(2);
		assert_safe();
		ctx->regs[r] = 0;
	}
	ctx->nr_regs = ~0u; /* as many as there are, not more */
	syn_put_context(2);
	assert_safe();
}

static void parked_and_absent_cpus_are_safe(void **state)
{
	u64 idle = syn.cpus[3].idle;

	(void)state;
	syn.cpus[3].ctx.ip = INSIDE;
	syn_put_context(3);
	assert_blocked(0, "ip");
	cpus[3].state = CPU_PARKED;
	assert_safe();
	assert_unseen(syn_stack_end(idle) - 8); /* comes back with an empty stack */
	cpus[3].state = CPU_ABSENT;
	assert_safe();
	cpus[3].state = CPU_SERVICE;
	assert_safe();
}

static void every_other_cpu_must_be_held(void **state)
{
	(void)state;
	cpus[2].state = CPU_GUEST;
	assert_not_judged(-EFAULT, "CPU 2");
	/* the initiator is in an exit, and judged like the others */
	self = &cpus[2];
	assert_safe();
	syn.cpus[2].ctx.ip = INSIDE;
	syn_put_context(2);
	assert_blocked(0, "ip");
	cpus[1].state = CPU_GUEST;
	assert_not_judged(-EFAULT, "CPU 1");
}

static void per_cpu_bases_must_be_known(void **state)
{
	u64 copy = syn_alloc(PAGE_SIZE);

	(void)state;
	memcpy(syn_at(copy), syn_at(syn.cpus[2].base), PAGE_SIZE);
	for (int user = 0; user < 2; user++) {
		struct vcpu_context *ctx = &syn.cpus[2].ctx;

		ctx->user = user;
		ctx->percpu_base = 0;
		syn_put_context(2);
		assert_not_judged(-EFAULT, "CPU 2");
		ctx->percpu_base = copy;
		syn_put_context(2);
		assert_not_judged(-EFAULT, "CPU 2");
		ctx->percpu_base = syn.cpus[1].base;
		syn_put_context(2);
		assert_not_judged(-EFAULT, "CPU 2");
		ctx->percpu_base = syn.cpus[2].base;
		syn_put_context(2);
		assert_safe();
	}
	syn_set(syn.cpus[2].base + PCPU_CURRENT, 0);
	assert_not_judged(-EFAULT, "CPU 2");
}

/* Before SWAPGS the kernel's base is not the active one, and that is whatever user code loaded. */
static void user_code_has_loaded_a_base(void **state)
{
	struct vcpu_context *ctx = &syn.cpus[2].ctx;
	u64 kernel = syn.cpus[2].base, parked = syn.cpus[3].base, sp = syn_run(2, sleeper, 0x100);

	(void)state;
	cpus[3].state = CPU_PARKED;
	ctx->percpu_base = 0xffffdead00000000;
	ctx->other_base = kernel;
	syn_put_context(2);
	assert_seen(sp, 100, "stack");
	ctx->percpu_base = kernel;
	ctx->other_base = 0xffffdead00000000;
	syn_put_context(2);
	assert_seen(sp, 100, "stack");
	ctx->other_base = kernel; /* its own */
	syn_put_context(2);
	assert_safe();
	/* one of another CPU, which is not there to have it */
	ctx->other_base = parked;
	syn_put_context(2);
	assert_not_judged(-EFAULT, "CPU 2");
	ctx->percpu_base = parked;
	ctx->other_base = kernel;
	syn_put_context(2);
	assert_not_judged(-EFAULT, "CPU 2");
}

/* The first instructions of a system call: kernel mode on the user's stack pointer. */
static void system_call_entry(void **state)
{
	(void)state;
	syn_run(2, sleeper, 0x100);
	syn.cpus[2].ctx.sp = 0x7ffc00001000;
	syn_put_context(2);
	assert_not_judged(-EFAULT, "CPU 2");
	syn.cpus[2].ctx.sp_is_users = true;
	syn_put_context(2);
	assert_seen(syn_stack(sleeper), 100, "stack");
	assert_seen(syn_stack_end(sleeper) - 8, 100, "stack");
}

/* The user has set it to the stack of a task that is interrupted, or is being switched away. */
static void a_stack_pointer_that_is_the_users(void **state)
{
	struct syn_cpu *c = &syn.cpus[2];
	u64 other = syn_task(200, "other");

	(void)state;
	syn_run(2, sleeper, 0x100);
	syn_run(3, other, 0x100);
	c->ctx.sp = c->irq + SYN_IRQ_SIZE - 0x80;
	syn.cpus[3].ctx.sp = syn_stack_end(sleeper) - 8;
	syn.cpus[3].ctx.sp_is_users = true;
	syn_put_context(2);
	syn_put_context(3);
	assert_seen(syn_stack_end(sleeper) - 0x100, 100, "stack");
	syn_set(c->base + PCPU_CURRENT, c->idle);
	c->ctx.sp = syn_stack_end(c->idle) - 0x80;
	syn_put_context(2);
	assert_seen(syn_stack_end(sleeper) - 0x100, 100, "stack");
}

/* One that nobody knows to be none: the CPU that the task runs on is on another stack. */
static void a_stack_pointer_that_is_no_witness(void **state)
{
	struct syn_cpu *c = &syn.cpus[2];

	(void)state;
	syn_run(2, sleeper, 0x100);
	c->ctx.sp = c->irq + SYN_IRQ_SIZE - 0x80;
	syn.cpus[3].ctx.sp = syn_stack_end(sleeper) - 8;
	syn_put_context(2);
	syn_put_context(3);
	assert_seen(syn_stack_end(sleeper) - 0x100, 100, "stack");
}

/* A number of its own, which happens to be one of the task's stack, says nothing about the stack.
 */
static void a_stack_pointer_that_is_lost(void **state)
{
	(void)state;
	syn_run(2, sleeper, 0x100);
	assert_unseen(syn_stack(sleeper));
	syn.cpus[2].ctx.sp_is_lost = true;
	syn_put_context(2);
	assert_not_judged(-EFAULT, "CPU 2");
}

static void a_stack_that_nobody_knows(void **state)
{
	(void)state;
	syn_run(2, sleeper, 0x100);
	syn.cpus[2].ctx.sp = syn_vmap(PAGE_SIZE) + 0x100;
	syn_put_context(2);
	assert_not_judged(-EFAULT, "CPU 2");
	syn.cpus[2].ctx.sp = syn_stack_end(sleeper);
	syn_put_context(2);
	assert_not_judged(-EFAULT, "CPU 2");
}

/* ---- the CPUs' own stacks ---- */

static void on_the_irq_stack(void **state)
{
	struct syn_cpu *c = &syn.cpus[2];

	(void)state;
	syn_run(2, sleeper, 0x100);
	assert_unseen(c->irq + SYN_IRQ_SIZE - 16); /* not in use */
	assert_unseen(syn.cpus[3].irq + SYN_IRQ_SIZE - 16);
	c->ctx.sp = c->irq + SYN_IRQ_SIZE - 0x80;
	syn_put_context(2);
	assert_seen(c->ctx.sp, 100, "irq stack");
	assert_seen(c->irq + SYN_IRQ_SIZE - 8, 100, "irq stack");
	assert_unseen(c->ctx.sp - 8);
	assert_unseen(syn.cpus[3].irq + SYN_IRQ_SIZE - 16); /* another CPU's */
	/* underneath: where the interrupted task was is not known */
	assert_seen(syn_stack_end(sleeper) - 0x100, 100, "stack");
	assert_seen(syn_stack(sleeper), 100, "stack");
	assert_seen(c->exc + PAGE_SIZE, 100, "exception stack");
	assert_seen(c->entry, 100, "entry stack");
}

static void on_an_exception_stack(void **state)
{
	struct syn_cpu *c = &syn.cpus[2];

	(void)state;
	syn_run(2, sleeper, 0x100);
	assert_unseen(c->exc + PAGE_SIZE);
	c->ctx.sp = c->exc + 5 * PAGE_SIZE + 0x10; /* the upper one of two */
	syn_put_context(2);
	assert_seen(c->ctx.sp, 100, "exception stack");
	assert_seen(c->exc + SYN_EXC_SIZE - 8, 100, "exception stack");
	assert_seen(c->exc + PAGE_SIZE, 100, "exception stack"); /* the lower one */
	assert_seen(c->irq, 100, "irq stack");
	assert_seen(c->irq + SYN_IRQ_SIZE - 8, 100, "irq stack");
	assert_seen(c->entry + 8, 100, "entry stack");
	assert_seen(syn_stack(sleeper), 100, "stack");
}

static void on_the_entry_stack(void **state)
{
	struct syn_cpu *c = &syn.cpus[2];

	(void)state;
	syn_run(2, sleeper, 0x100);
	assert_unseen(c->entry + SYN_ENTRY_SIZE - 8);
	c->ctx.sp = c->entry + SYN_ENTRY_SIZE - 0x40;
	syn_put_context(2);
	assert_seen(c->ctx.sp, 100, "entry stack");
	assert_unseen(c->ctx.sp - 8);
	assert_seen(c->irq + SYN_IRQ_SIZE - 8, 100, "irq stack");
	assert_seen(syn_stack(sleeper), 100, "stack");
}

/* What the CPU's IRQ stack is in use for has return addresses on the shadow call stack as well. */
static void on_the_irq_stack_with_its_shadow(void **state)
{
	struct syn_cpu *c = &syn.cpus[2];
	u64 shadow = syn_vmap(SYN_SCS_SIZE);

	(void)state;
	syn_run(2, sleeper, 0x100);
	syn_shadow(sleeper, 0);
	guest_kernel.layout.pcpu_irq_scs = PCPU_IRQ_SCS;
	syn_set(c->base + PCPU_IRQ_SCS, shadow);
	assert_unseen(shadow); /* not in use */
	c->ctx.sp = c->irq + SYN_IRQ_SIZE - 0x80;
	syn_put_context(2);
	assert_seen(shadow, 100, "irq shadow call stack");
	assert_seen(shadow + SYN_SCS_SIZE - 8, 100, "irq shadow call stack");
	assert_seen(c->entry, 100, "entry stack");
	/* a kernel that has them and does not use them */
	syn_set(c->base + PCPU_IRQ_SCS, 0);
	syn_set(sleeper + TASK_SCS_BASE, 0);
	assert_unseen(shadow);
}

static void stacks_of_cpus_that_cannot_be_found(void **state)
{
	(void)state;
	syn_run(2, sleeper, 0x100);
	guest_kernel.layout.pcpu_irq_stack = 1ull << 40;
	assert_not_judged(-EFAULT, "stacks");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(from_the_cpus_stack_pointer),
		TEST(user_mode_has_an_empty_kernel_stack),
		TEST(a_cpu_in_user_mode_has_other_tables),
		TEST(a_context_switch_is_two_stacks),
		TEST(a_cpu_on_the_stack_of_a_task_that_does_not_run),
		TEST(two_cpus_on_one_stack),
		TEST(user_mode_of_one_cpu_does_not_excuse_another),
		TEST(idle_tasks),
		TEST(a_running_task_that_is_on_no_list),
		TEST(instruction_pointers_and_registers),
		TEST(parked_and_absent_cpus_are_safe),
		TEST(every_other_cpu_must_be_held),
		TEST(per_cpu_bases_must_be_known),
		TEST(user_code_has_loaded_a_base),
		TEST(system_call_entry),
		TEST(a_stack_pointer_that_is_the_users),
		TEST(a_stack_pointer_that_is_no_witness),
		TEST(a_stack_pointer_that_is_lost),
		TEST(a_stack_that_nobody_knows),
		TEST(on_the_irq_stack),
		TEST(on_an_exception_stack),
		TEST(on_the_entry_stack),
		TEST(on_the_irq_stack_with_its_shadow),
		TEST(stacks_of_cpus_that_cannot_be_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
