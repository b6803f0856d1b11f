/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest/hooks.h"
#include "guest/walk.h"
#include "lib/mutate.h"

#define MAX_RETHOOKS 4096u

/* struct llist_node { next } within struct rethook_node. */
static int for_each_rethook(struct window *w, u64 task, guest_return_fn fn, void *arg)
{
	const struct suture_layout *l = &guest_kernel.layout;
	u32 left = MAX_RETHOOKS;
	u64 node, ret;
	int r = 0;

	if (read_u64(w, task + l->task_rethooks, &node))
		return -EFAULT;
	while (!r && node) {
		if (!left--)
			return -ELOOP;
		if (guest_read_u64(GVA(node + l->rethook_ret_addr), &ret) ||
		    guest_read_u64(GVA(node), &node))
			return -EFAULT;
		r = fn(ret, "kretprobe", arg);
	}
	return r;
}

static int for_each_traced(struct window *w, u64 task, guest_return_fn fn, void *arg)
{
	const struct suture_layout *l = &guest_kernel.layout;
	u64 stack, ret;
	s32 newest;
	int r = 0;

	if (read_u64(w, task + l->task_ret_stack, &stack) ||
	    read_at(w, task + l->task_curr_ret_stack, &newest, sizeof(newest)))
		return -EFAULT;
	if (!stack)
		return 0;
	if (newest >= (s32)l->ret_stack_depth)
		return -ELOOP;
	for (s32 i = 0; !r && i <= newest; i++) {
		u64 entry = stack + (u64)i * l->ret_stack_entry;

		if (guest_read_u64(GVA(entry + l->ret_stack_ret), &ret))
			return -EFAULT;
		r = fn(ret, "graph tracer", arg);
	}
	return r;
}

/*
 * struct hlist_node { next, pprev }: pprev points to the pointer that led here, or the list is
 * being changed.
 */
static int for_each_instance(u64 head, u32 *left, int (*fn)(u64 address, u64 task, void *arg),
			     void *arg)
{
	const struct suture_layout *l = &guest_kernel.layout;
	u64 from = head, at, back, address, task;
	int r = 0;

	for (; !r; from = at) {
		if (guest_read_u64(GVA(from), &at))
			return -EFAULT;
		if (!at)
			return 0;
		if (guest_read_u64(GVA(at + 8), &back) ||
		    guest_read_u64(GVA(at + l->kretprobe_ret_addr), &address) ||
		    guest_read_u64(GVA(at + l->kretprobe_task), &task))
			return -EFAULT;
		if (back != from || !*left)
			return -ELOOP;
		(*left)--;
		r = fn(address, task, arg);
	}
	return r;
}

int guest_for_each_kretprobe(int (*fn)(u64 address, u64 task, void *arg), void *arg)
{
	const struct suture_layout *l = &guest_kernel.layout;
	u32 left = GUEST_MAX_KRETPROBES;
	int r = 0;

	if (!l->kretprobe_table || MUTATION(kretprobe_table))
		return 0;
	for (u32 i = 0; !r && i < l->kretprobe_heads; i++)
		r = for_each_instance(l->kretprobe_table + 8ull * i, &left, fn, arg);
	return r;
}

int guest_for_each_hooked_return(const struct guest_task *t, guest_return_fn fn, void *arg)
{
	const struct suture_layout *l = &guest_kernel.layout;
	struct window w = {0};
	int r = 0;

	if (l->task_rethooks != SUTURE_NONE && !MUTATION(rethook))
		r = for_each_rethook(&w, t->task, fn, arg);
	if (!r && l->task_ret_stack != SUTURE_NONE && !MUTATION(graph_tracer))
		r = for_each_traced(&w, t->task, fn, arg);
	return r;
}

/* ---- kprobes ---- */

static int for_each_page(u64 head, int (*fn)(u64 page, void *arg), void *arg)
{
	/* and back to the head */
	struct walk walk = {.left = GUEST_MAX_SLOT_PAGES + 1, .until_us = UINT64_MAX};
	u64 at, page;
	int r = list_next(&walk, head, &at);

	while (!r && at != head) {
		if (!walk.left)
			return -ELOOP;
		if (read_u64(&walk.window, at + guest_kernel.layout.slot_page_insns, &page))
			return -EFAULT;
		r = fn(page, arg);
		if (!r)
			r = list_next(&walk, at, &at);
	}
	return r;
}

int guest_for_each_slot_page(int (*fn)(u64 page, void *arg), void *arg)
{
	const struct suture_layout *l = &guest_kernel.layout;
	int r = 0;

	if (l->kprobe_slots && !MUTATION(kprobe_slots))
		r = for_each_page(l->kprobe_slots, fn, arg);
	return r || !l->optprobe_slots || MUTATION(optprobe_slots)
		       ? r
		       : for_each_page(l->optprobe_slots, fn, arg);
}
