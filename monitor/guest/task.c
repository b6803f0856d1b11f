/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/task.h"
#include "guest/walk.h"
#include "lib/errno.h"
#include "lib/mutate.h"
#include "lib/sort.h"

#define MAX_TASKS (4u << 20)

int guest_read_task(struct window *w, u64 task, struct guest_task *t)
{
	const struct suture_layout *l = &guest_kernel.layout;
	u64 switches[2];
	u8 on_cpu;

	if (!in_window(w, task, 1))
		move_window(w, task);
	*t = (struct guest_task){.task = task};
	/*
	 * check_ahead() needs this order: a task that sleeps now, and that later sleeps with the
	 * same count, has not run in between.
	 */
	if (read_at(w, task + l->task_switches, switches, sizeof(switches)))
		return -EFAULT;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (read_at(w, task + l->task_on_cpu, &on_cpu, sizeof(on_cpu)))
		return -EFAULT;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (read_u64(w, task + l->task_stack, &t->stack) ||
	    read_u64(w, task + l->task_sp, &t->sp) ||
	    read_u64(w, task + l->task_start, &t->start) ||
	    read_at(w, task + l->task_pid, &t->pid, sizeof(t->pid)) ||
	    read_at(w, task + l->task_comm, t->comm, sizeof(t->comm) - 1))
		return -EFAULT;
	t->on_cpu = on_cpu;
	t->switches = switches[0] + switches[1];
	if (l->task_pc == SUTURE_NONE)
		return 0;
	return read_u64(w, task + l->task_pc, &t->pc);
}

static int for_each_thread(struct walk *walk, u64 leader)
{
	const struct suture_layout *l = &guest_kernel.layout;
	struct guest_task t;
	u64 signal, head, at;
	int r;

	if (read_u64(&walk->window, leader + l->task_signal, &signal))
		return -EFAULT;
	head = signal + l->signal_thread_head;
	r = list_next(walk, head, &at);
	while (!r && at != head) {
		r = guest_read_task(&walk->window, at - l->task_thread_node, &t);
		if (!r)
			r = walk->fn(&t, walk->arg);
		if (MUTATION(threads))
			break;
		if (!r)
			r = list_next(walk, at, &at);
	}
	return r;
}

int guest_for_each_task(u64 until_us, int (*fn)(const struct guest_task *t, void *arg), void *arg)
{
	const struct suture_layout *l = &guest_kernel.layout;
	struct walk walk = {.left = MAX_TASKS, .until_us = until_us, .fn = fn, .arg = arg};
	u64 head = l->init_task + l->task_tasks, at;
	int r = list_next(&walk, head, &at);

	while (!r && at != head) {
		r = for_each_thread(&walk, at - l->task_tasks);
		if (!r)
			r = list_next(&walk, at, &at);
	}
	return r;
}

/* ---- what a task has beside its stack ---- */

int guest_saved_regs(const struct guest_task *t, u64 regs[GUEST_SAVED_REGS])
{
	const struct suture_layout *l = &guest_kernel.layout;
	u32 count = MIN(l->task_nr_regs, GUEST_SAVED_REGS);

	if (count && guest_read(GVA(t->task + l->task_regs), regs, count * sizeof(*regs)))
		return -EFAULT;
	return (int)count;
}

int guest_shadow_stack(const struct guest_task *t, u64 *low, u64 *high)
{
	const struct suture_layout *l = &guest_kernel.layout;
	u64 sp;

	*low = *high = 0;
	if (!l->scs_size)
		return 0;
	if (guest_read_u64(GVA(t->task + l->task_scs_base), low) ||
	    guest_read_u64(GVA(t->task + l->task_scs_sp), &sp))
		return -EFAULT;
	if (*low)
		*high = *low + l->scs_size;
	if (!t->on_cpu && sp >= *low && sp <= *high)
		*high = sp;
	return 0;
}

/* ---- a CPU's tasks and stacks ---- */

int guest_task_at(u64 task, struct guest_task *t)
{
	struct window w = {0};

	return guest_read_task(&w, task, t);
}

static int read_task_of_cpu(u64 pointer, struct guest_task *t)
{
	u64 task;

	return guest_read_u64(GVA(pointer), &task) ? -EFAULT : guest_task_at(task, t);
}

int guest_current(u64 percpu_base, struct guest_task *t)
{
	return read_task_of_cpu(percpu_base + guest_kernel.layout.pcpu_current, t);
}

int guest_idle(u64 percpu_base, struct guest_task *t)
{
	int err = read_task_of_cpu(percpu_base + guest_kernel.layout.pcpu_idle, t);

	if (err)
		return err;
	return t->pid ? -ELOOP : 0;
}

int guest_percpu_base(u32 i, u64 *base)
{
	return guest_read_u64(GVA(guest_kernel.layout.per_cpu_offset + 8ull * i), base);
}

/* Those of all CPUs, sorted. */
static struct {
	bool read;
	u64 base[GUEST_MAX_CPU_IDS];
} bases;

void guest_percpu_forget(void)
{
	bases.read = false;
}

static int compare_bases(const void *a, const void *b, const void *arg)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	(void)arg;
	return x < y ? -1 : x > y;
}

static bool read_bases(void)
{
	u32 count = guest_kernel.layout.nr_cpu_ids;

	if (!bases.read &&
	    !guest_read(GVA(guest_kernel.layout.per_cpu_offset), bases.base, 8ull * count)) {
		heap_sort(bases.base, count, sizeof(bases.base[0]), compare_bases, NULL);
		bases.read = true;
	}
	return bases.read;
}

bool guest_is_percpu_base(u64 percpu_base)
{
	u32 low = 0, count = guest_kernel.layout.nr_cpu_ids, high = count;

	if (!percpu_base || !read_bases())
		return false;
	while (low < high) {
		u32 mid = (low + high) / 2;

		if (bases.base[mid] < percpu_base)
			low = mid + 1;
		else
			high = mid;
	}
	/* CPUs that cannot exist have 0 (arm64), or all the same template's address (x86). */
	return low < count && bases.base[low] == percpu_base &&
	       (low + 1 == count || bases.base[low + 1] != percpu_base);
}

/*
 * The stack that a per-CPU pointer leads to: its lowest address is `offset` away from what
 * the pointer holds, rounded up to a multiple of `align`.
 */
static int find_stack(struct guest_stack *s, const char *kind, u64 pointer, u64 align, s32 offset,
		      u32 size)
{
	u64 at;

	if (guest_read_u64(GVA(pointer), &at))
		return -EFAULT;
	s->low = ALIGN_UP(at, align) + (u64)(s64)offset;
	s->high = s->low + size;
	s->kind = kind;
	s->holes = s->shadow = false;
	return 0;
}

int guest_cpu_stacks(u64 percpu_base, struct guest_stack s[GUEST_CPU_STACKS])
{
	const struct suture_layout *l = &guest_kernel.layout;
	int n = 0, err = 0;

	if (l->irq_stack_size && !MUTATION(irq_stacks))
		err = find_stack(&s[n++], "irq", percpu_base + l->pcpu_irq_stack, 16,
				 l->irq_stack_offset, l->irq_stack_size);
	if (!err && l->exc_stacks_size && !MUTATION(exception_stacks)) {
		err = find_stack(&s[n], "exception", percpu_base + l->pcpu_exc_stacks, 1, 0,
				 l->exc_stacks_size);
		s[n++].holes = true;
	}
	if (!err && l->entry_stack_size && !MUTATION(entry_stacks))
		err = find_stack(&s[n++], "entry", percpu_base + l->pcpu_entry_stack, 1,
				 l->entry_stack_offset, l->entry_stack_size);
	if (!err && l->pcpu_irq_scs && !MUTATION(irq_shadow_stacks)) {
		err = find_stack(&s[n], "irq shadow call", percpu_base + l->pcpu_irq_scs, 1, 0,
				 l->scs_size);
		s[n].shadow = true;
		n += s[n].low != 0;
	}
	return err ? err : n;
}
