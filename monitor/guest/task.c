/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/task.h"
#include "core/errno.h"
#include "core/lib/string.h"

#define MAX_TASKS (4u << 20)

static int read_task(u64 task, struct guest_task *t)
{
	const struct suture_layout *l = &guest_kernel.layout;
	u32 on_cpu;

	memset(t, 0, sizeof(*t));
	t->task = task;
	if (guest_read_u64(GVA(task + l->task_stack), &t->stack) ||
	    guest_read_u64(GVA(task + l->task_sp), &t->sp) ||
	    guest_read_u32(GVA(task + l->task_on_cpu), &on_cpu) ||
	    guest_read_u32(GVA(task + l->task_pid), &t->pid) ||
	    guest_read(GVA(task + l->task_comm), t->comm, sizeof(t->comm) - 1))
		return -EFAULT;
	t->on_cpu = on_cpu;
	if (l->task_pc == SUTURE_NONE)
		return 0;
	return guest_read_u64(GVA(task + l->task_pc), &t->pc);
}

/* ---- lists: struct list_head { next, prev } ---- */

struct list {
	u64 head, at;
	u32 *left; /* how many more entries may come, in all lists together */
};

/*
 * Step to the next entry; `at` is the head again when there is none. An entry whose `prev` does not
 * lead back is in the middle of a change, or no list at all.
 */
static int list_next(struct list *list)
{
	u64 next, back;

	if (guest_read_u64(GVA(list->at), &next) || guest_read_u64(GVA(next + 8), &back))
		return -EFAULT;
	if (back != list->at || !(*list->left)--)
		return -ELOOP;
	list->at = next;
	return 0;
}

static int for_each_thread(u64 leader, u32 *left, int (*fn)(const struct guest_task *t, void *arg),
			   void *arg)
{
	const struct suture_layout *l = &guest_kernel.layout;
	struct guest_task t;
	struct list threads;
	u64 signal;
	int r;

	if (guest_read_u64(GVA(leader + l->task_signal), &signal))
		return -EFAULT;
	threads.head = threads.at = signal + l->signal_thread_head;
	threads.left = left;
	for (;;) {
		r = list_next(&threads);
		if (r || threads.at == threads.head)
			return r;
		r = read_task(threads.at - l->task_thread_node, &t);
		if (!r)
			r = fn(&t, arg);
		if (r)
			return r;
	}
}

int guest_for_each_task(int (*fn)(const struct guest_task *t, void *arg), void *arg)
{
	const struct suture_layout *l = &guest_kernel.layout;
	u32 left = MAX_TASKS;
	struct list leaders;
	int r;

	leaders.head = leaders.at = l->init_task + l->task_tasks;
	leaders.left = &left;
	for (;;) {
		r = list_next(&leaders);
		if (r || leaders.at == leaders.head)
			return r;
		r = for_each_thread(leaders.at - l->task_tasks, &left, fn, arg);
		if (r)
			return r;
	}
}

/* ---- what a CPU has ---- */

static int read_task_of_cpu(u64 pointer, struct guest_task *t)
{
	u64 task;

	if (guest_read_u64(GVA(pointer), &task))
		return -EFAULT;
	return read_task(task, t);
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

bool guest_is_percpu_base(u64 percpu_base)
{
	const struct suture_layout *l = &guest_kernel.layout;
	u32 found = 0;

	/* CPUs that cannot exist have 0 (arm64), or all the same template's address (x86). */
	for (u32 i = 0; percpu_base && i < l->nr_cpu_ids; i++) {
		u64 offset;

		if (guest_read_u64(GVA(l->per_cpu_offset + 8ull * i), &offset))
			return false;
		found += offset == percpu_base;
	}
	return found == 1;
}

static struct guest_stack stack_below(const char *kind, u64 top, u64 size)
{
	return (struct guest_stack){.low = top - size, .high = top, .kind = kind};
}

int guest_cpu_stacks(u64 percpu_base, struct guest_stack s[GUEST_CPU_STACKS])
{
	const struct suture_layout *l = &guest_kernel.layout;
	u64 at;
	int n = 0;

	if (l->irq_stack_size) {
		if (guest_read_u64(GVA(percpu_base + l->pcpu_irq_stack), &at))
			return -EFAULT;
		/* x86 points at the last word, where the interrupted stack pointer is kept. */
		s[n++] = stack_below("irq", ALIGN_UP(at, PAGE_SIZE), l->irq_stack_size);
	}
	if (l->exc_stacks_size) {
		if (guest_read_u64(GVA(percpu_base + l->pcpu_exc_stacks), &at))
			return -EFAULT;
		s[n] = stack_below("exception", at + l->exc_stacks_size, l->exc_stacks_size);
		s[n++].holes = true;
	}
	if (l->entry_stack_size) {
		if (guest_read_u64(GVA(percpu_base + l->pcpu_entry_stack), &at))
			return -EFAULT;
		/* Signed: what the pointer points at may lie behind the stack. */
		at += (u64)(s64)(s32)l->entry_stack_offset;
		s[n++] = stack_below("entry", at + l->entry_stack_size, l->entry_stack_size);
	}
	return n;
}
