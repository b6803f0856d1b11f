/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The consistency check. Nearly every test plants one word: where it must be found, and where it
 * must not.
 */
#include "synthetic.h"
#include "arch/pac.h"
#include "guest/hooks.h"
#include "patch/check.h"
#include <time.h>

#define FUNC_START (SYN_TEXT + 0x1000)
#define FUNC_END   (SYN_TEXT + 0x1080)
#define INSIDE	   (SYN_TEXT + 0x1040)

static const u64 hits[] = {FUNC_START + 1, INSIDE, FUNC_END - 1, FUNC_END};
static const u64 misses[] = {0, FUNC_START - 1, FUNC_START, FUNC_END + 1, ~0ull};

static struct check_range ranges[CHECK_MAX_RANGES];
static u32 nr_ranges;
static struct pause pause_;
static struct transition_report report;
static const struct cpu *self;
static u64 sleeper; /* pid 100 */

static void add_range(u64 start, u64 end, const char *name)
{
	struct check_range *r = &ranges[nr_ranges++];

	*r = (struct check_range){.start = start, .end = end};
	strcpy(r->name, name);
}

static int setup(void **state)
{
	(void)state;
	syn_new(3);
	fake_time_set(1000, 0);
	sleeper = syn_task(100, "sleeper");
	nr_ranges = 0;
	add_range(FUNC_START, FUNC_END, "func");
	pause_ = (struct pause){.deadline_us = 10000};
	self = NULL;
	return 0;
}

static int run(void)
{
	return check_run(&pause_, self, ranges, nr_ranges, &report);
}

static void assert_safe(void)
{
	int err = run();

	if (err)
		fail_msg("not safe: %s, %s in %s (%s)", errno_name(err), report.blocker.comm,
			 report.blocker.func, report.blocker.where);
	assert_false(report.blocker.valid);
	assert_string_equal(report.reason, "");
}

static void assert_blocked(u32 pid, const char *where)
{
	assert_int_equal(run(), -EBUSY);
	assert_true(report.blocker.valid);
	assert_int_equal(report.blocker.pid, pid);
	assert_string_equal(report.blocker.where, where);
}

static void assert_not_judged(int err, const char *reason)
{
	assert_int_equal(run(), err);
	assert_false(report.blocker.valid);
	if (!strstr(report.reason, reason))
		fail_msg("\"%s\" does not say \"%s\"", report.reason, reason);
}

/* A word there is found... */
static void assert_seen(u64 at, u32 pid, const char *where)
{
	u64 before = syn_get(at);

	assert_safe();
	syn_set(at, INSIDE);
	assert_blocked(pid, where);
	syn_set(at, before);
	assert_safe();
}

/* ... and one there does not count. */
static void assert_unseen(u64 at)
{
	u64 before = syn_get(at);

	syn_set(at, INSIDE);
	assert_safe();
	syn_set(at, before);
}

/* ---- the rule ---- */

static void start_is_out_and_end_is_in(void **state)
{
	u64 sp = syn_sleep(sleeper, 256);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(hits); i++) {
		syn_set(sp + 64, hits[i]);
		assert_blocked(100, "stack");
		assert_int_equal(report.blocker.address, hits[i]);
		assert_string_equal(report.blocker.func, "func");
		assert_string_equal(report.blocker.comm, "sleeper");
	}
	for (size_t i = 0; i < ARRAY_SIZE(misses); i++) {
		syn_set(sp + 64, misses[i]);
		assert_safe();
	}
}

static void many_ranges_in_any_order(void **state)
{
	u64 sp = syn_sleep(sleeper, 8);
	char name[32];

	(void)state;
	/* 0x40 bytes each, in steps of 0x60, every third touches the next */
	nr_ranges = 0;
	for (u32 n = 0; n < 500; n++) {
		u32 i = n * 271 % 500;
		u64 start = SYN_TEXT + 0x2000 + i * 0x60ull;

		snprintf(name, sizeof(name), "f%u", i);
		add_range(start, start + (i % 3 ? 0x40 : 0x60), name);
	}
	for (u32 i = 0; i < 500; i++) {
		u64 start = SYN_TEXT + 0x2000 + i * 0x60ull;

		snprintf(name, sizeof(name), "f%u", i);
		for (u64 offset = 0; offset <= 0x60; offset += 0x10) {
			u64 size = i % 3 ? 0x40 : 0x60;

			syn_set(sp, start + offset);
			if (!offset && (i == 0 || (i - 1) % 3)) {
				assert_safe();
			} else if (offset && offset <= size) {
				assert_blocked(100, "stack");
				assert_string_equal(report.blocker.func, name);
			} else if (offset > size) {
				assert_safe();
			}
		}
	}
}

/* Between two ranges it is not enough to lie within the lowest and the highest. */
static void between_ranges(void **state)
{
	u64 sp = syn_sleep(sleeper, 8);

	(void)state;
	add_range(FUNC_END + 0x100, FUNC_END + 0x200, "second");
	syn_set(sp, FUNC_END + 1);
	assert_safe();
	syn_set(sp, FUNC_END + 0x100);
	assert_safe();
	syn_set(sp, FUNC_END + 0x101);
	assert_blocked(100, "stack");
	assert_string_equal(report.blocker.func, "second");
}

static void ranges_that_overlap(void **state)
{
	u64 sp = syn_sleep(sleeper, 8);

	(void)state;
	nr_ranges = 0;
	add_range(SYN_TEXT + 0x100, SYN_TEXT + 0x900, "outer");
	add_range(SYN_TEXT + 0x200, SYN_TEXT + 0x300, "inner");
	add_range(SYN_TEXT + 0x200, SYN_TEXT + 0x300, "alias");
	add_range(SYN_TEXT + 0x400, SYN_TEXT + 0xa00, "longer");
	for (u64 w = SYN_TEXT + 0x101; w <= SYN_TEXT + 0xa00; w++) {
		syn_set(sp, w);
		assert_int_equal(run(), -EBUSY);
	}
	syn_set(sp, SYN_TEXT + 0xa01);
	assert_safe();
	syn_set(sp, SYN_TEXT + 0x100);
	assert_safe();
}

static void no_range_is_safe(void **state)
{
	u64 sp = syn_sleep(sleeper, 8);

	(void)state;
	syn_set(sp, INSIDE);
	nr_ranges = 0;
	assert_safe();
}

static void authentication_codes_are_stripped(void **state)
{
	u64 sp = syn_sleep(sleeper, 64);

	(void)state;
	syn_set(sp + 8, INSIDE ^ (0x005a000000000000ull & FAKE_PAC_MASK));
	assert_blocked(100, "stack");
	assert_int_equal(report.blocker.address, INSIDE);
	syn_sleep(sleeper, 0);
	syn.cpus[1].ctx.nr_regs = 1;
	syn.cpus[1].ctx.regs[0] = INSIDE ^ (0xa500000000000000ull & FAKE_PAC_MASK);
	syn_put_context(1);
	assert_blocked(0, "register");
}

/* ---- tasks that sleep ---- */

static void from_the_stack_pointer_to_the_end(void **state)
{
	u64 sp = syn_sleep(sleeper, 0x1808), end = syn_stack_end(sleeper);

	(void)state;
	assert_seen(sp, 100, "stack");
	assert_seen(sp + 8, 100, "stack");
	assert_seen(ALIGN_UP(sp, PAGE_SIZE) - 8, 100, "stack");
	assert_seen(ALIGN_UP(sp, PAGE_SIZE), 100, "stack");
	assert_seen(end - 8, 100, "stack");
	assert_unseen(sp - 8);
	assert_unseen(syn_stack(sleeper));
}

static void a_stack_pointer_in_the_middle_of_a_word(void **state)
{
	u64 sp = syn_sleep(sleeper, 0x100);

	(void)state;
	syn_set(sleeper + TASK_SP, sp + 4);
	assert_seen(sp, 100, "stack");
}

/* A saved stack pointer that makes no sense: all of the stack counts. */
static void a_stack_pointer_outside_the_stack(void **state)
{
	u64 low = syn_stack(sleeper), high = syn_stack_end(sleeper);
	const u64 wrong[] = {0, low - 8, high + 8, ~0ull, syn.cpus[1].ctx.sp};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		syn_set(sleeper + TASK_SP, wrong[i]);
		assert_seen(low, 100, "stack");
		assert_seen(high - 8, 100, "stack");
	}
	syn_set(sleeper + TASK_SP, high);
	assert_unseen(high - 8); /* empty: nothing is above it */
}

static void all_threads_are_looked_at(void **state)
{
	u64 thread = syn_thread(sleeper, 101, "thread"), last = syn_task(102, "last");

	(void)state;
	syn_sleep(thread, 64);
	syn_sleep(last, 64);
	assert_seen(syn_stack_end(thread) - 16, 101, "stack");
	assert_seen(syn_stack_end(last) - 16, 102, "stack");
}

static void a_saved_pc(void **state)
{
	(void)state;
	guest_kernel.layout.task_pc = TASK_PC;
	assert_safe();
	for (size_t i = 0; i < ARRAY_SIZE(hits); i++) {
		syn_set(sleeper + TASK_PC, hits[i]);
		assert_blocked(100, "saved pc");
	}
	syn_set(sleeper + TASK_PC, FUNC_START);
	assert_safe();
}

/* Nonsense, but it must have an end; the last bytes count. */
static void a_stack_that_is_not_aligned(void **state)
{
	u64 low = syn_vmap(SYN_THREAD_SIZE + PAGE_SIZE);

	(void)state;
	syn_set(sleeper + TASK_STACK, low + 4);
	syn_set(sleeper + TASK_SP, low + SYN_THREAD_SIZE - 64);
	assert_seen(low + SYN_THREAD_SIZE, 100, "stack");
	assert_unseen(low + SYN_THREAD_SIZE + 8);
	syn_set(sleeper + TASK_STACK, 0 - (u64)SYN_THREAD_SIZE - 1);
	assert_not_judged(-EFAULT, "sleeper");
	syn_set(sleeper + TASK_SP, ~0ull - 3);
	assert_not_judged(-EFAULT, "sleeper");
}

static void a_zombie_has_no_stack(void **state)
{
	(void)state;
	syn_set(sleeper + TASK_STACK, 0);
	assert_safe();
	syn_set32(sleeper + TASK_ON_CPU, 1);
	assert_not_judged(-EFAULT, "sleeper");
}

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
	ctx->ip = INSIDE; /* the user's: whatever it likes */
	ctx->nr_regs = 2;
	ctx->regs[0] = ctx->regs[1] = INSIDE;
	ctx->sp = 0x7ffc00001000;
	syn_put_context(2);
	assert_unseen(sp);
	assert_unseen(syn_stack(sleeper));
	assert_unseen(syn.cpus[2].irq);
	assert_unseen(syn.cpus[2].entry);
	/* a kernel address, or somebody's stack, as the user's stack pointer */
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

/* One CPU says user mode, another is in the kernel with the same task: no reason to skip. */
static void user_mode_of_one_cpu_does_not_excuse_another(void **state)
{
	(void)state;
	syn_run(1, sleeper, 0x100);
	syn_run(2, sleeper, 0x100);
	syn_set32(sleeper + TASK_ON_CPU, 1);
	syn.cpus[1].ctx.user = true;
	syn.cpus[2].ctx.sp = 0x7ffc00001000;
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

/* The first instructions of a system call: kernel mode on the user's stack pointer. */
static void system_call_entry(void **state)
{
	(void)state;
	syn_run(2, sleeper, 0x100);
	syn.cpus[2].ctx.sp = 0x7ffc00001000;
	syn_put_context(2);
	assert_seen(syn_stack(sleeper), 100, "stack");
	assert_seen(syn_stack_end(sleeper) - 8, 100, "stack");
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

static void stacks_of_cpus_that_cannot_be_found(void **state)
{
	(void)state;
	syn_run(2, sleeper, 0x100);
	guest_kernel.layout.pcpu_irq_stack = 1ull << 40;
	assert_not_judged(-EFAULT, "stacks");
}

/* ---- tasks that are on no list ---- */

/* A task that exits has left the list, and is preempted before it is done. */
static void off_list_tasks_on_a_run_queue(void **state)
{
	u64 fair = syn_loose_task(300, "fair"), rt = syn_loose_task(301, "rt");
	u64 rq = syn.cpus[2].base + PCPU_RQ, sp = syn_sleep(fair, 0x100);

	(void)state;
	assert_unseen(sp);
	syn_list_add_tail(syn_loose_task(299, "first") + TASK_GROUP_NODE, rq + RQ_CFS_TASKS);
	syn_list_add_tail(fair + TASK_GROUP_NODE, rq + RQ_CFS_TASKS);
	assert_seen(sp, 300, "stack");
	assert_unseen(sp - 8);
	sp = syn_sleep(rt, 0x80);
	assert_unseen(sp);
	syn_list_add_tail(rt + TASK_RT_RUN_LIST, rq + RQ_RT_QUEUE + 16 * (SYN_RT_PRIOS - 1));
	assert_seen(sp, 301, "stack");
	/* a kernel whose run queues are not known */
	guest_kernel.layout.pcpu_rq = 0;
	assert_unseen(sp);
}

static void put_node(u64 at, u64 node, u64 parent)
{
	syn_set(at, node);
	syn_set(node, parent | 1); /* black */
}

static void off_list_deadline_tasks(void **state)
{
	u64 root = syn.cpus[3].base + PCPU_RQ + RQ_DL_ROOT, nodes[7];

	(void)state;
	for (u32 i = 0; i < 7; i++) {
		u64 task = syn_loose_task(400 + i, "deadline"), up;

		syn_sleep(task, 0x40);
		nodes[i] = task + TASK_DL_NODE;
		up = i ? nodes[(i - 1) / 2] : 0;
		put_node(i ? up + (i % 2 ? 16 : 8) : root, nodes[i], up);
	}
	for (u32 i = 0; i < 7; i++)
		assert_seen(syn_stack_end(nodes[i] - TASK_DL_NODE) - 0x40, 400 + i, "stack");
	/* in the middle of a rotation */
	syn_set(nodes[5], nodes[1]);
	assert_not_judged(-ELOOP, "run queue");
	syn_set(nodes[5], nodes[2]);
	assert_safe();
	syn_set(nodes[6] + 8, nodes[0]);
	assert_not_judged(-ELOOP, "run queue");
}

static void a_run_queue_that_is_being_changed(void **state)
{
	u64 rq = syn.cpus[2].base + PCPU_RQ;

	(void)state;
	syn_list_add_tail(sleeper + TASK_GROUP_NODE, rq + RQ_CFS_TASKS);
	assert_safe();
	syn_set(sleeper + TASK_GROUP_NODE + LIST_PREV, 0xdead000000000122);
	assert_not_judged(-ELOOP, "CPU 2: its run queue");
	syn_set(rq + RQ_CFS_TASKS, 0x1000);
	assert_not_judged(-EFAULT, "CPU 2: its run queue");
	/* taken off, to be put on again: the list is whole, and lacks it */
	syn_list_init(rq + RQ_CFS_TASKS);
	assert_safe();
	syn_set32(rq + RQ_LOCK, 1);
	assert_not_judged(-ELOOP, "CPU 2: its run queue");
}

/* ---- return addresses that are kept elsewhere ---- */

static u64 add_rethook(u64 task, u64 address)
{
	u64 node = syn_alloc(64);

	syn_set(node, syn_get(task + TASK_RETHOOKS));
	syn_set(node + RETHOOK_RET_ADDR, address);
	syn_set(task + TASK_RETHOOKS, node);
	return node;
}

static void return_addresses_of_kretprobes(void **state)
{
	u64 nodes[3];

	(void)state;
	for (u32 i = 0; i < 3; i++)
		nodes[i] = add_rethook(sleeper, FUNC_START);
	for (u32 i = 0; i < 3; i++)
		assert_seen(nodes[i] + RETHOOK_RET_ADDR, 100, "kretprobe");
	for (size_t i = 0; i < ARRAY_SIZE(hits); i++) {
		syn_set(nodes[1] + RETHOOK_RET_ADDR, hits[i]);
		assert_blocked(100, "kretprobe");
	}
	syn_set(nodes[1] + RETHOOK_RET_ADDR, FUNC_START);
	/* of tasks that run too, and of idle ones */
	syn_run(2, sleeper, 0x100);
	assert_seen(nodes[0] + RETHOOK_RET_ADDR, 100, "kretprobe");
	nodes[0] = add_rethook(syn.cpus[3].idle, FUNC_START);
	assert_seen(nodes[0] + RETHOOK_RET_ADDR, 0, "kretprobe");
	/* without end, or out of bounds */
	syn_set(nodes[0], nodes[0]);
	assert_not_judged(-ELOOP, "return addresses");
	syn_set(nodes[0], 0x1000);
	assert_not_judged(-EFAULT, "return addresses");
}

/* rethook_hook() has taken the address, and not listed it yet. */
static void while_a_kretprobe_takes_the_address(void **state)
{
	u64 sp = syn_run(2, sleeper, 0x100);

	(void)state;
	syn.cpus[2].ctx.ip = SYN_HOOK + 1;
	syn_put_context(2);
	assert_blocked(100, "ip");
	assert_string_equal(report.blocker.func, "rethook_hook");
	syn.cpus[2].ctx.ip = SYN_HOOK + SYN_HOOK_SIZE + 1;
	syn_put_context(2);
	assert_safe();
	syn_set(sp, SYN_HOOK + 0x10);
	assert_blocked(100, "stack");
	/* it cannot sleep there: an old word */
	syn_run(2, syn.cpus[2].idle, 64);
	syn_sleep(sleeper, 0x100);
	assert_safe();
}

static void return_addresses_of_the_graph_tracer(void **state)
{
	u64 stack = syn_alloc(PAGE_SIZE);

	(void)state;
	syn_set(sleeper + TASK_RET_STACK, stack);
	assert_unseen(stack + RET_STACK_RET);
	syn_set32(sleeper + TASK_CURR_RET_STACK, 2);
	for (u32 i = 0; i < 3; i++)
		assert_seen(stack + i * RET_STACK_ENTRY + RET_STACK_RET, 100, "graph tracer");
	assert_unseen(stack + 3 * RET_STACK_ENTRY + RET_STACK_RET);
	assert_unseen(stack); /* not the address */
	syn_run(2, sleeper, 0x100);
	assert_seen(stack + RET_STACK_RET, 100, "graph tracer");
	syn_set32(sleeper + TASK_CURR_RET_STACK, SYN_RET_DEPTH - 1);
	assert_seen(stack + (SYN_RET_DEPTH - 1) * RET_STACK_ENTRY + RET_STACK_RET, 100,
		    "graph tracer");
	syn_set32(sleeper + TASK_CURR_RET_STACK, SYN_RET_DEPTH);
	assert_not_judged(-ELOOP, "return addresses");
	syn_set32(sleeper + TASK_CURR_RET_STACK, 0);
	syn_set(sleeper + TASK_RET_STACK, 0x1000);
	assert_not_judged(-EFAULT, "return addresses");
	/* an index without an array means nothing */
	syn_set(sleeper + TASK_RET_STACK, 0);
	assert_safe();
}

/* ---- instructions that are executed elsewhere ---- */

static u64 add_slot_page(u64 list, u64 page)
{
	u64 node = syn_alloc(64);

	syn_set(node + SLOT_PAGE_INSNS, page);
	syn_list_add_tail(node, list);
	return node;
}

static void copied_instructions_of_kprobes(void **state)
{
	const u64 lists[] = {guest_kernel.layout.kprobe_slots, guest_kernel.layout.optprobe_slots};
	u64 sp = syn_sleep(sleeper, 0x100), page = SYN_MODULE + 0x20000, node = 0;

	(void)state;
	for (u32 i = 0; i < 2; i++, page += 2 * PAGE_SIZE) {
		struct vcpu_context *ctx = &syn.cpus[2].ctx;

		syn_set(sp, page + 0x40);
		assert_safe();
		add_slot_page(lists[i], SYN_TEXT + 0x8000);
		node = add_slot_page(lists[i], page);
		assert_blocked(100, "stack");
		syn_set(sp, page + PAGE_SIZE + 1);
		assert_safe();
		ctx->ip = page; /* the first instruction of the first slot */
		syn_put_context(2);
		assert_blocked(0, "ip");
		ctx->ip = SYN_TEXT;
		syn_put_context(2);
		assert_safe();
	}
	syn_set(node + LIST_PREV, 0);
	assert_not_judged(-ELOOP, "kprobes");
	syn_set(node + LIST_PREV, guest_kernel.layout.optprobe_slots);
	syn_set(guest_kernel.layout.optprobe_slots, 0x1000);
	assert_not_judged(-EFAULT, "kprobes");
}

static void too_many_kprobes_to_judge(void **state)
{
	(void)state;
	for (u32 i = 0; i < GUEST_MAX_SLOT_PAGES; i++)
		add_slot_page(guest_kernel.layout.kprobe_slots, SYN_MODULE + i * PAGE_SIZE);
	assert_safe();
	add_slot_page(guest_kernel.layout.kprobe_slots, SYN_MODULE);
	assert_not_judged(-ELOOP, "kprobes");
}

/* ---- what cannot be judged ---- */

static void a_stack_that_cannot_be_read(void **state)
{
	u64 low = syn_stack(sleeper);

	(void)state;
	syn_sleep(sleeper, 0x1100);
	syn_unmap(low);
	assert_safe(); /* below the stack pointer */
	syn_unmap(low + 3 * PAGE_SIZE);
	assert_not_judged(-EFAULT, "sleeper (100)");
	syn_set(sleeper + TASK_STACK, 0x400000);
	assert_not_judged(-EFAULT, "sleeper");
	syn_set(sleeper + TASK_STACK, ~0ull - 8);
	assert_not_judged(-EFAULT, "sleeper");
	syn_set(sleeper + TASK_STACK, SYN_DIRECT + FAKE_POOL_BASE);
	assert_not_judged(-EFAULT, "sleeper");
}

static void an_irq_stack_that_cannot_be_read(void **state)
{
	struct syn_cpu *c = &syn.cpus[2];

	(void)state;
	syn_run(2, sleeper, 0x100);
	c->ctx.sp = c->irq + 0x100;
	syn_put_context(2);
	assert_safe();
	syn_unmap(c->irq + 2 * PAGE_SIZE);
	assert_not_judged(-EFAULT, "irq stack");
	/* guard pages are expected among the exception stacks, but not only these */
	c->ctx.sp = c->entry + 0x100;
	syn_put_context(2);
	syn_set(c->base + PCPU_IRQ, syn.cpus[1].irq + SYN_IRQ_SIZE);
	assert_safe();
	for (u64 page = 0; page < SYN_EXC_SIZE; page += PAGE_SIZE)
		syn_unmap(c->exc + page);
	assert_not_judged(-EFAULT, "exception stack");
}

static void a_list_that_is_broken(void **state)
{
	(void)state;
	syn_set(sleeper + TASK_TASKS + LIST_PREV, 0);
	assert_not_judged(-ELOOP, "list");
	syn_set(syn.hello.layout.init_task + TASK_TASKS, 0x1000);
	assert_not_judged(-EFAULT, "list");
}

static void the_deadline(void **state)
{
	(void)state;
	for (u32 i = 0; i < 100; i++)
		syn_sleep(syn_task(1000 + i, "t"), 64);
	assert_safe();
	assert_int_equal(report.tasks_checked, 104);
	/* passes while it runs */
	fake_time_set(pause_.deadline_us - 5, 1);
	assert_not_judged(-ETIMEDOUT, "too short");
	assert_in_range(report.tasks_checked, 20, 60);
	/* has passed */
	fake_time_set(pause_.deadline_us, 0);
	assert_not_judged(-ETIMEDOUT, "too short");
}

static u64 random_state = 88172645463325252ull;

static u64 any(u64 below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state % below;
}

/*
 * Whatever stands in the guest's memory: an answer, and no access outside of it (the fake machine
 * and the sanitizers abort on one).
 */
static void any_memory_gets_an_answer(void **state)
{
	u32 safe = 0, not_safe = 0;

	for (u32 round = 0; round < 300; round++) {
		u64 places[16], words[16];

		setup(state);
		syn_sleep(syn_thread(sleeper, 101, "thread"), 0x300);
		for (u32 i = 0; i < 3; i++) {
			places[i] = syn.cpus[i + 1].base + PCPU_CURRENT;
			places[i + 3] = syn.cpus[i + 1].idle;
			places[i + 6] = syn_get(sleeper + TASK_SIGNAL);
			places[i + 9] = syn.hello.layout.per_cpu_offset;
			places[i + 12] = sleeper + TASK_TASKS;
		}
		places[15] = sleeper;
		for (u32 i = 0; i < 16; i++)
			words[i] = places[i];
		words[1] = 0;
		words[2] = ~0ull;
		words[3] = SYN_DIRECT + FAKE_POOL_BASE - 8;
		words[4] = INSIDE;
		words[5] = SYN_VMAP + any(1u << 20);
		words[6] = SYN_DIRECT + FAKE_RAM_BASE + any(FAKE_GUEST_RAM_SIZE);
		for (u32 i = 0; i < 20; i++) {
			const u32 span[] = {0x40, SYN_TASK_SIZE};
			u64 offset = any(span[any(2)]) & ~7ull;
			int err;

			syn_set(ALIGN_DOWN(places[any(16)], 8) + offset,
				words[any(16)] + any(2) * 8);
			err = run();
			safe += !err;
			not_safe += !!err;
			assert_true(!err || err == -EBUSY || err == -EFAULT || err == -ELOOP);
			assert_true(err != -EBUSY || report.blocker.valid);
			assert_true(!err || err == -EBUSY || report.reason[0]);
		}
	}
	assert_true(safe > 100);
	assert_true(not_safe > 100);
}

/* ---- figures ---- */

static void what_was_checked_is_counted(void **state)
{
	u64 words;

	(void)state;
	assert_safe();
	assert_int_equal(report.tasks_checked, 4); /* the sleeper and three idle tasks */
	words = report.words_checked;
	syn_sleep(sleeper, 0x2000);
	assert_safe();
	assert_int_equal(report.words_checked, words + 0x2000 / 8);
}

static u64 now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * 1000000000 + (u64)t.tv_nsec;
}

static void speed(void **state)
{
	const u32 rounds = 50;
	u64 start, ns, words = 0;

	(void)state;
	for (u32 i = 0; i < 200; i++) {
		u64 task = syn_task(1000 + i, "t"), at = syn_sleep(task, 0x400);

		for (; at < syn_stack_end(task); at += 8) /* one word in four is a code address */
			syn_set(at, at % 32 ? at * 1117 : SYN_TEXT + at % 0x1000);
	}
	for (u32 i = 1; i < 64; i++)
		add_range(FUNC_START + i * 0x1000, FUNC_END + i * 0x1000, "more");
	start = now_ns();
	for (u32 i = 0; i < rounds; i++) {
		assert_safe();
		words += report.words_checked;
	}
	ns = now_ns() - start;
	printf("%llu tasks, %llu words: %llu us a check, %llu words/us (built for tests)\n",
	       (unsigned long long)report.tasks_checked, (unsigned long long)report.words_checked,
	       (unsigned long long)ns / 1000 / rounds, (unsigned long long)(words * 1000 / ns));
}

#define TEST(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(start_is_out_and_end_is_in),
		TEST(many_ranges_in_any_order),
		TEST(between_ranges),
		TEST(ranges_that_overlap),
		TEST(no_range_is_safe),
		TEST(authentication_codes_are_stripped),
		TEST(from_the_stack_pointer_to_the_end),
		TEST(a_stack_pointer_in_the_middle_of_a_word),
		TEST(a_stack_pointer_outside_the_stack),
		TEST(all_threads_are_looked_at),
		TEST(a_saved_pc),
		TEST(a_stack_that_is_not_aligned),
		TEST(a_zombie_has_no_stack),
		TEST(from_the_cpus_stack_pointer),
		TEST(user_mode_has_an_empty_kernel_stack),
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
		TEST(system_call_entry),
		TEST(a_stack_that_nobody_knows),
		TEST(on_the_irq_stack),
		TEST(on_an_exception_stack),
		TEST(on_the_entry_stack),
		TEST(stacks_of_cpus_that_cannot_be_found),
		TEST(off_list_tasks_on_a_run_queue),
		TEST(off_list_deadline_tasks),
		TEST(a_run_queue_that_is_being_changed),
		TEST(return_addresses_of_kretprobes),
		TEST(while_a_kretprobe_takes_the_address),
		TEST(return_addresses_of_the_graph_tracer),
		TEST(copied_instructions_of_kprobes),
		TEST(too_many_kprobes_to_judge),
		TEST(a_stack_that_cannot_be_read),
		TEST(an_irq_stack_that_cannot_be_read),
		TEST(a_list_that_is_broken),
		TEST(the_deadline),
		TEST(any_memory_gets_an_answer),
		TEST(what_was_checked_is_counted),
		TEST(speed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
