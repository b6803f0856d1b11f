/* SPDX-License-Identifier: BSD-2-Clause */
/* The run queue of a CPU. */
#include "guest/kernel.h"
#include "guest/mem.h"
#include "guest/task.h"
#include "guest/walk.h"
#include "lib/mutate.h"

#define MAX_QUEUED (1u << 20)

/* Entries of a list_head that lies in each task at `offset`. */
static int for_each_on_list(struct walk *walk, u64 head, u32 offset)
{
	struct guest_task t;
	u64 at;
	int r = list_next(walk, head, &at);

	while (!r && at != head) {
		r = guest_read_task(&walk->window, at - offset, &t);
		if (!r)
			r = walk->fn(&t, walk->arg);
		if (!r)
			r = list_next(walk, at, &at);
	}
	return r;
}

/* struct rb_node { parent and colour, right, left }. */
#define RB_COLOUR    3ull
#define MAX_RB_DEPTH 64u

struct branch {
	u64 node, parent;
};

/* A node whose parent is not the node that led to it is being changed. */
static int for_each_in_tree(struct walk *walk, u64 root, u32 offset)
{
	struct branch todo[MAX_RB_DEPTH];
	u32 n = 0;
	int r;

	if (read_u64(&walk->window, root, &todo[0].node))
		return -EFAULT;
	todo[0].parent = 0;
	n = todo[0].node ? 1 : 0;
	while (n) {
		struct branch b = todo[--n];
		struct guest_task t;
		u64 links[3];

		if (read_at(&walk->window, b.node, links, sizeof(links)))
			return -EFAULT;
		if ((links[0] & ~RB_COLOUR) != b.parent || !walk->left-- || n + 2 > MAX_RB_DEPTH)
			return -ELOOP;
		for (u32 i = 1; i < ARRAY_SIZE(links); i++)
			if (links[i])
				todo[n++] = (struct branch){links[i], b.node};
		r = guest_read_task(&walk->window, b.node - offset, &t);
		if (!r)
			r = walk->fn(&t, walk->arg);
		if (r)
			return r;
	}
	return 0;
}

int guest_for_each_queued(u64 percpu_base, u64 until_us,
			  int (*fn)(const struct guest_task *t, void *arg), void *arg)
{
	const struct suture_layout *l = &guest_kernel.layout;
	struct walk walk = {.left = MAX_QUEUED, .until_us = until_us, .fn = fn, .arg = arg};
	u64 rq = percpu_base + l->pcpu_rq;
	u32 locked;
	int r;

	if (!l->pcpu_rq)
		return 0;
	/*
	 * The holder of the lock may have taken a task off to put it on again: the scheduler moves
	 * the task that it picks to the list's other end. In between the list looks consistent.
	 */
	if (guest_read_u32(GVA(rq + l->rq_lock), &locked))
		return -EFAULT;
	if (locked && !MUTATION(run_queue_lock))
		return -ELOOP;
	r = for_each_on_list(&walk, rq + l->rq_cfs_tasks, l->task_group_node);
	for (u32 i = 0; !r && i < l->rt_prios; i++)
		r = for_each_on_list(&walk, rq + l->rq_rt_queue + 16ull * i, l->task_rt_run_list);
	if (!r && l->rq_scx_tasks != SUTURE_NONE && !MUTATION(extensible_class))
		r = for_each_on_list(&walk, rq + l->rq_scx_tasks, l->task_scx_node);
	return r || MUTATION(deadline_tasks)
		       ? r
		       : for_each_in_tree(&walk, rq + l->rq_dl_root, l->task_dl_node);
}
