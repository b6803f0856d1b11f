/* SPDX-License-Identifier: BSD-2-Clause */
/* docs/consistency.md says why this is sound. */
#include "arch/cpu.h"
#include "guest/mem.h"
#include "guest/module.h"
#include "lib/errno.h"
#include "lib/format.h"
#include "lib/mutate.h"
#include "lib/string.h"
#include "patch/check/run.h"

/* Tasks between two looks at the clock. */
#define TASKS_PER_LOOK 8

/* Only the holder of the pause checks: there is one. */
static struct check check;

/* ---- CPUs ---- */

static int judge_registers(struct check *c, const struct held_cpu *h)
{
	int err = 0;

	if (h->ctx.user)
		return 0;
	check_own_stacks(c, &h->current, h, true);
	if (!MUTATION(instruction_pointer))
		err = check_word(c, h->ctx.ip, &h->current, "ip");
	for (u32 i = 0; !MUTATION(registers) && !err && i < MIN(h->ctx.nr_regs, VCPU_MAX_REGS); i++)
		err = check_word(c, h->ctx.regs[i], &h->current, "register");
	return err;
}

/*
 * The CPU's own stacks. Exceptions may have nested in any order: if the stack pointer is on one of
 * them, any other may be in use below it, and is checked in full.
 */
static int judge_cpu_stacks(struct check *c, struct held_cpu *h)
{
	struct guest_stack stacks[GUEST_CPU_STACKS];
	const struct guest_stack *on = NULL;
	char where[sizeof(c->r->blocker.where)];
	int n, err = 0;

	if (h->ctx.user)
		return 0;
	n = guest_cpu_stacks(h->ctx.percpu_base, stacks);
	if (n < 0)
		return check_refuse(c, n, "CPU %u: its stacks cannot be found", h->id);
	for (int i = 0; i < n; i++)
		if (h->ctx.sp >= stacks[i].low && h->ctx.sp < stacks[i].high)
			on = &stacks[i];
	if (!on)
		return 0;

	h->located = true;
	check_own_stacks(c, &h->current, h, true);
	for (int i = 0; !MUTATION(cpu_stacks) && !err && i < n; i++) {
		const struct guest_stack *s = &stacks[i];
		/* A mapping with holes is several stacks: those below sp count too. */
		u64 from = s == on && !s->holes ? h->ctx.sp : s->low;

		if (s != on && MUTATION(stacks_underneath))
			continue;

		if (s->shadow)
			check_own_stacks(c, &h->current, h, false);
		format(where, sizeof(where), "%s stack", s->kind);
		err = check_words(c, from, s->high, s->holes, &h->current, where);
	}
	return err;
}

/* ---- tasks ---- */

/*
 * The lowest address from which the task's stack is in use. In doubt all of it is: stale words
 * below the stack pointer can only make a false hit.
 */
static u64 stack_in_use(const struct guest_task *t, const struct running *run)
{
	u64 low = t->stack, high = low + guest_kernel.layout.thread_size;

	if (t->on_cpu && run->on_stack && !run->elsewhere)
		return run->sp;
	if (t->on_cpu && run->user && (!run->kernel || MUTATION(user_mode)))
		return high;
	if (MUTATION(context_switch))
		return t->sp >= low && t->sp <= high ? t->sp : high;
	if (t->on_cpu || run->on_stack || t->sp < low || t->sp > high)
		return low;
	return t->sp;
}

struct hooked {
	struct check *c;
	const struct guest_task *t;
};

static int judge_hooked(u64 address, const char *kind, void *arg)
{
	const struct hooked *h = arg;

	return check_word(h->c, address, h->t, kind);
}

/*
 * Is it certain where the task is: asleep, or on exactly one CPU? While the guest runs it is enough
 * that it sleeps: if it is woken meanwhile it is looked at again.
 */
static bool is_clear(const struct check *c, const struct guest_task *t, const struct running *run)
{
	if (c->guest_runs)
		return !t->on_cpu;
	return (t->on_cpu ? run->cpu && run->claims == 1 : !run->claims) || MUTATION(unclear);
}

/* The saved registers of a task that sleeps, where they are not on its stack. */
static int judge_saved(struct check *c, const struct guest_task *t)
{
	u64 regs[GUEST_SAVED_REGS];
	int n = guest_saved_regs(t, regs),
	    err = MUTATION(saved_pc) ? 0 : check_word(c, t->pc, t, "saved pc");

	if (n < 0)
		return check_refuse(c, n, "the saved registers of %s (%u) cannot be read", t->comm,
				    t->pid);
	for (int i = 0; !MUTATION(saved_registers) && !err && i < n; i++)
		err = check_word(c, regs[i], t, "saved register");
	return err;
}

/*
 * A function may have popped its frame, and have its return address only there (arm64: GCC's
 * epilogues).
 */
static int judge_shadow_stack(struct check *c, const struct guest_task *t)
{
	u64 low, high;
	int err = guest_shadow_stack(t, &low, &high);

	if (err)
		return check_refuse(c, err, "the shadow call stack of %s (%u) cannot be found",
				    t->comm, t->pid);
	if (MUTATION(shadow_stacks))
		return 0;
	check_own_stacks(c, t, NULL, false); /* nothing on it is stale */
	return check_words(c, low, high, false, t, "shadow call stack");
}

int check_task(const struct guest_task *t, void *arg)
{
	struct check *c = arg;
	struct running run = check_find_running(c, t);
	struct hooked hooked = {c, t};
	u64 high = t->stack + guest_kernel.layout.thread_size;
	int err = 0;

	if (c->r->tasks_checked++ % TASKS_PER_LOOK == 0 && !pause_left_us(c->pause)) {
		c->r->tasks_checked--;
		return check_out_of_time(c);
	}
	/* A task that has exited is listed until its parent waits for it; its stack is freed
	 * before. */
	if (!t->stack && !t->on_cpu)
		return 0;
	check_own_stacks(c, t, t->on_cpu ? run.cpu : NULL, is_clear(c, t, &run));
	if (!t->on_cpu)
		err = judge_saved(c, t);
	if (!err)
		err = check_words(c, stack_in_use(t, &run), high, false, t, "stack");
	if (!err)
		err = guest_for_each_hooked_return(t, judge_hooked, &hooked);
	if (err && err != -EBUSY && !c->r->reason[0])
		check_refuse(c, err,
			     "the return addresses that probes took from %s (%u) cannot be "
			     "read",
			     t->comm, t->pid);
	return err ? err : judge_shadow_stack(c, t);
}

#define KRETPROBES_PER_LOOK 64

/* Those that the kernel keeps in one table for all tasks. */
static int judge_kretprobe(u64 address, u64 task, void *arg)
{
	struct check *c = arg;
	struct guest_task t;
	int err = guest_task_at(task, &t);

	if (err)
		return err;
	if (c->kretprobes++ % KRETPROBES_PER_LOOK == 0 && !pause_left_us(c->pause))
		return check_out_of_time(c);
	check_own_stacks(c, &t, NULL, false);
	return check_word(c, address, &t, "kretprobe");
}

static int judge_kretprobes(struct check *c)
{
	int err = guest_for_each_kretprobe(judge_kretprobe, c);

	if (err && err != -EBUSY && !c->r->reason[0])
		check_refuse(c, err, "the return addresses of kretprobes cannot be followed");
	return err;
}

/* Tasks that exit have left the list, and may be preempted before they are done. */
static int judge_queue(struct check *c, const struct held_cpu *h)
{
	int err = guest_for_each_queued(h->ctx.percpu_base, c->pause->deadline_us, check_task, c);

	if (err == -ETIMEDOUT)
		return check_out_of_time(c);
	if (err && err != -EBUSY && !c->r->reason[0])
		check_refuse(c, err, "CPU %u: its run queue cannot be followed", h->id);
	return err;
}

static bool is_any_dead(void)
{
	for_each_cpu (cpu)
		if (__atomic_load_n(&cpu->state, __ATOMIC_ACQUIRE) == CPU_DEAD)
			return true;
	return false;
}

/*
 * A CPU that died left its run queue behind, and others may take tasks from it. Which of the
 * kernel's CPUs it was is not known: the queues of all that are not held are searched.
 */
static int judge_left_queues(struct check *c)
{
	int err = 0;

	if (!is_any_dead() || MUTATION(left_queues))
		return 0;
	for (u32 i = 0; !err && i < guest_kernel.layout.nr_cpu_ids; i++) {
		u64 base;

		err = guest_percpu_base(i, &base);
		if (!err && !check_cpu_of_base(c, base) && guest_is_percpu_base(base))
			err = guest_for_each_queued(base, c->pause->deadline_us, check_task, c);
	}
	if (err == -ETIMEDOUT)
		return check_out_of_time(c);
	if (err && err != -EBUSY && !c->r->reason[0])
		check_refuse(c, err, "the run queue of a CPU that is dead cannot be followed");
	return err;
}

/* All, or those of which the look before the pause has not shown that they are clear. */
static int judge_listed(struct check *c, bool use_ahead)
{
	int err;

	if (use_ahead && check_ahead_holds(c))
		return check_ahead_judge(c);
	err = guest_for_each_task(c->pause->deadline_us, check_task, c);
	if (err == -ETIMEDOUT)
		return check_out_of_time(c);
	if (err && err != -EBUSY && !c->r->reason[0])
		check_refuse(c, err, "the list of tasks cannot be followed");
	return err;
}

static int judge_tasks(struct check *c, bool use_ahead)
{
	struct guest_task idle;
	int err = judge_listed(c, use_ahead);

	for_each_held (c, h) {
		if (err)
			break;
		if (MUTATION(idle_tasks))
			idle = h->current;
		else
			err = guest_idle(h->ctx.percpu_base, &idle);
		if (err)
			return check_refuse(c, err, "CPU %u: no idle task is found", h->id);
		err = check_task(&idle, c);
		/* A task that exits leaves the list before it stops running. */
		if (!err && !h->listed && !MUTATION(off_list))
			err = check_task(&h->current, c);
		if (!err && !MUTATION(run_queues))
			err = judge_queue(c, h);
	}
	return err ? err : judge_left_queues(c);
}

/*
 * Where the stack pointer is still the user's, the kernel's stack is empty; check_task() has
 * nevertheless looked at all of it.
 */
static bool is_located(const struct held_cpu *h)
{
	if (h->ctx.sp_is_lost && !MUTATION(lost_sp))
		return false;
	return h->ctx.user || h->located || h->ctx.sp_is_users || MUTATION(unknown_stack);
}

static void add_probe(struct check *c, u64 start, u64 end, const char *name)
{
	c->probes[c->nr_probes++] = (struct check_range){start, end, name};
}

static int add_slot_page(u64 page, void *arg)
{
	/* The page begins with an instruction: a task that has jumped to it is in the function. */
	add_probe(arg, page - 1, page + PAGE_SIZE, "a kprobe's copy of instructions");
	return 0;
}

static void add_hiding(struct check *c, const struct suture_hiding *h)
{
	c->hiding[c->nr_hiding++] = (struct check_range){h->addr, h->addr + h->size, h->name};
}

/* Most words are outside of all ranges together. */
static void widen_range(struct check *c, const struct check_range *sorted, u32 count)
{
	u64 end;

	if (!count)
		return;
	end = MAX(c->lowest + c->span, sorted[count - 1].end);
	c->lowest = MIN(c->lowest, sorted[0].start);
	c->span = end - c->lowest;
}

int check_collect_probes(struct check *c)
{
	const struct suture_layout *l = &guest_kernel.layout;
	int err;

	c->nr_probes = 0;
	err = guest_for_each_slot_page(add_slot_page, c);
	if (err)
		return check_refuse(c, err, "the copied instructions of kprobes cannot be found");
	c->nr_probes = check_sort(c->probes, c->nr_probes);
	widen_range(c, c->probes, c->nr_probes);
	c->nr_hiding = 0;
	for (u32 i = 0; i < l->nr_hiding && !MUTATION(hiding_functions); i++)
		add_hiding(c, &l->hiding[i]);
	c->nr_hiding = check_sort(c->hiding, c->nr_hiding);
	widen_range(c, c->hiding, c->nr_hiding);
	return 0;
}

static int judge_words(struct check *c, const struct cpu *self, bool use_ahead)
{
	int err = check_collect_cpus(c, self);

	if (!err)
		err = check_collect_probes(c);
	for_each_held (c, h)
		if (!err)
			err = judge_registers(c, h);
	if (!err)
		err = judge_tasks(c, use_ahead);
	if (!err)
		err = judge_kretprobes(c);
	for_each_held (c, h) {
		if (!err)
			err = judge_cpu_stacks(c, h);
		if (!err && !is_located(h))
			err = check_refuse(c, -EFAULT, "CPU %u runs on a stack that is not known",
					   h->id);
	}
	return err;
}

void check_look_for(struct check *c, const struct check_range *ranges, u32 count,
		    struct transition_report *r)
{
	r->tasks_checked = r->tasks_before_pause = r->words_checked = r->words_cleared = 0;
	r->blocker = (struct blocker){0};
	r->reason[0] = '\0';
	c->r = r;
	c->nr_cpus = c->kretprobes = 0;
	c->ranges = ranges;
	c->nr_ranges = count;
	c->lowest = count ? ranges[0].start : 0;
	c->span = count ? ranges[count - 1].end - c->lowest : 0;
}

int check_run(const struct pause *p, const struct cpu *self, const struct check_range *ranges,
	      u32 count, bool use_ahead, struct transition_report *r)
{
	struct check *c = &check;
	int err;

	check_look_for(c, ranges, count, r);
	if (!c->nr_ranges)
		return 0;
	c->pause = p;
	guest_cache_begin();
	guest_modules_forget();
	guest_percpu_forget();
	err = judge_words(c, self, use_ahead);
	guest_cache_end();
	return err;
}
