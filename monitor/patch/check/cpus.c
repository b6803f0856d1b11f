/* SPDX-License-Identifier: BSD-2-Clause */
/* The CPUs that are held: which tasks run on them, and on which stacks. */
#include "arch/cpu.h"
#include "lib/errno.h"
#include "lib/mutate.h"
#include "lib/sort.h"
#include "lib/string.h"
#include "patch/check/run.h"

/* Only the holder of the pause checks. The orders are of indices into cpus. */
enum order { BY_BASE, BY_TASK, BY_SP, ORDERS };

static struct {
	struct held_cpu cpus[MAX_CPUS];
	u16 order[ORDERS][MAX_CPUS];
	u32 nr_on_stack; /* of BY_SP; behind them are those in user mode, and on the user's stack */
} held;

static bool is_on_stack(const struct held_cpu *h)
{
	return !h->ctx.user && !h->ctx.sp_is_users;
}

static u64 value_of(enum order o, u16 i)
{
	const struct held_cpu *h = &held.cpus[i];

	if (o == BY_SP)
		return h->ctx.sp;
	return o == BY_BASE ? h->ctx.percpu_base : h->current.task;
}

static int compare_cpus(const void *a, const void *b, const void *arg)
{
	enum order o = *(const enum order *)arg;
	u16 i = *(const u16 *)a, j = *(const u16 *)b;
	u64 x = value_of(o, i), y = value_of(o, j);

	if (o == BY_SP && is_on_stack(&held.cpus[i]) != is_on_stack(&held.cpus[j]))
		return is_on_stack(&held.cpus[i]) ? -1 : 1;
	return x < y ? -1 : x > y ? 1 : i < j ? -1 : i > j;
}

static void make_orders(u32 count)
{
	for (enum order o = 0; o < ORDERS; o++) {
		for (u32 i = 0; i < count; i++)
			held.order[o][i] = (u16)i;
		heap_sort(held.order[o], count, sizeof(held.order[o][0]), compare_cpus, &o);
	}
	held.nr_on_stack = 0;
	for (u32 i = 0; i < count; i++)
		held.nr_on_stack += is_on_stack(&held.cpus[i]);
}

/* The place in the order of the first CPU whose value is not less. */
static u32 first_of(enum order o, u32 count, u64 value)
{
	u32 low = 0, high = count;

	while (low < high) {
		u32 mid = (low + high) / 2;

		if (value_of(o, held.order[o][mid]) < value)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* ---- collecting them ---- */

/* The base that is the kernel's; 0 if neither of the two is, or if both may be. */
static u64 find_percpu_base(const struct vcpu_context *ctx)
{
	bool first = guest_is_percpu_base(ctx->percpu_base);
	bool other = ctx->other_base != ctx->percpu_base && guest_is_percpu_base(ctx->other_base);

	if (first && (!other || MUTATION(two_bases)))
		return ctx->percpu_base;
	return other && !first ? ctx->other_base : 0;
}

static int collect_cpu(struct check *c, const struct cpu *cpu)
{
	struct held_cpu *h = &c->cpus[c->nr_cpus];
	u64 base;
	int err;

	memset(h, 0, sizeof(*h));
	h->id = cpu->id;
	arch_vcpu_context(cpu, &h->ctx);
	base = MUTATION(percpu_base) ? h->ctx.percpu_base : find_percpu_base(&h->ctx);
	if (!base)
		return check_refuse(c, -EFAULT, "CPU %u: the kernel does not know its per-CPU base",
				    h->id);
	h->ctx.percpu_base = base;
	err = guest_current(base, &h->current);
	if (err)
		return check_refuse(c, err, "CPU %u: its current task cannot be read", h->id);
	c->nr_cpus++;
	return 0;
}

static int check_bases(struct check *c)
{
	for (u32 i = 1; i < c->nr_cpus; i++) {
		const struct held_cpu *h = &held.cpus[held.order[BY_BASE][i]];
		const struct held_cpu *before = &held.cpus[held.order[BY_BASE][i - 1]];

		if (h->ctx.percpu_base == before->ctx.percpu_base)
			return check_refuse(c, -EFAULT, "CPU %u has the per-CPU base of CPU %u",
					    h->id, before->id);
	}
	return 0;
}

int check_collect_cpus(struct check *c, const struct cpu *self)
{
	c->cpus = held.cpus;
	c->nr_cpus = 0;
	for_each_cpu (cpu) {
		u32 state = __atomic_load_n(&cpu->state, __ATOMIC_ACQUIRE);
		bool is_held = state == CPU_HELD || state == CPU_IDLE;
		int err;

		if (cpu != self && !is_held && state != CPU_GUEST)
			continue;
		if (cpu != self && !is_held && MUTATION(cpus_not_held))
			continue;
		if (cpu != self && !is_held)
			return check_refuse(c, -EFAULT, "CPU %u is not held", cpu->id);
		err = collect_cpu(c, cpu);
		if (err)
			return err;
	}
	make_orders(c->nr_cpus);
	return check_bases(c);
}

/* ---- finding them ---- */

struct held_cpu *check_cpu_of_base(const struct check *c, u64 base)
{
	u32 i = first_of(BY_BASE, c->nr_cpus, base);

	if (i == c->nr_cpus || value_of(BY_BASE, held.order[BY_BASE][i]) != base)
		return NULL;
	return &held.cpus[held.order[BY_BASE][i]];
}

static bool uses_stack(const struct held_cpu *h, const struct guest_task *t)
{
	return is_on_stack(h) && h->ctx.sp - t->stack < guest_kernel.layout.thread_size;
}

/* h has t as its current task, or uses its stack. */
static void add_claim(struct running *run, struct held_cpu *h, const struct guest_task *t)
{
	bool current = h->current.task == t->task, on_stack = uses_stack(h, t);

	run->claims++;
	if (current && !h->ctx.user)
		run->cpu = h;
	h->listed |= current;
	run->user |= current && h->ctx.user;
	run->kernel |= current && !h->ctx.user;
	run->elsewhere |= current && !h->ctx.user && !on_stack;
	if (MUTATION(system_call_entry) && current && h->ctx.sp_is_users)
		run->user = true, run->kernel = false;
	if (!on_stack)
		return;
	h->located = true;
	run->sp = run->on_stack ? MIN(run->sp, h->ctx.sp) : h->ctx.sp;
	run->on_stack = true;
}

struct running check_find_running(const struct check *c, const struct guest_task *t)
{
	struct running run = {0};

	for (u32 i = first_of(BY_TASK, c->nr_cpus, t->task); i < c->nr_cpus; i++) {
		struct held_cpu *h = &held.cpus[held.order[BY_TASK][i]];

		if (h->current.task != t->task)
			break;
		add_claim(&run, h, t);
	}
	for (u32 n = c->nr_cpus ? held.nr_on_stack : 0, i = first_of(BY_SP, n, t->stack); i < n;
	     i++) {
		struct held_cpu *h = &held.cpus[held.order[BY_SP][i]];

		if (!uses_stack(h, t))
			break;
		if (h->current.task != t->task)
			add_claim(&run, h, t);
	}
	return run;
}
