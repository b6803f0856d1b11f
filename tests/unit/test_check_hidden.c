/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Tasks and return addresses outside of the task list and the stacks: run queues, probes, tracers.
 */
#include "check_rig.h"
#include "guest/hooks.h"

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

/* A dead CPU: its registers are ignored, its run queue is checked. */
static void off_list_tasks_of_a_dead_cpu(void **state)
{
	u64 task = syn_loose_task(303, "left"), sp = syn_sleep(task, 0x80);
	u64 rq = syn.cpus[2].base + PCPU_RQ;

	(void)state;
	cpus[2].state = CPU_DEAD;
	syn.cpus[2].ctx.ip = INSIDE;
	syn_put_context(2);
	assert_unseen(sp);
	syn_list_add_tail(task + TASK_GROUP_NODE, rq + RQ_CFS_TASKS);
	assert_seen(sp, 303, "stack");
	syn_set(rq + RQ_LOCK, 1);
	assert_not_judged(-ELOOP, "the run queue of a CPU that is dead");
	/* one that the guest has taken off has moved its tasks away */
	cpus[2].state = CPU_PARKED;
	assert_unseen(sp);
}

static void off_list_tasks_of_the_extensible_class(void **state)
{
	u64 task = syn_loose_task(302, "scx"), sp = syn_sleep(task, 0x80);
	u64 head = syn.cpus[3].base + PCPU_RQ + RQ_SCX_TASKS;

	(void)state;
	guest_kernel.layout.rq_scx_tasks = RQ_SCX_TASKS;
	for (u32 i = 1; i <= 3; i++)
		syn_list_init(syn.cpus[i].base + PCPU_RQ + RQ_SCX_TASKS);
	assert_unseen(sp);
	syn_list_add_tail(task + TASK_SCX_NODE, head);
	assert_seen(sp, 302, "stack");
	syn_set(task + TASK_SCX_NODE + LIST_PREV, 0);
	assert_not_judged(-ELOOP, "run queue");
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

/* Kernels that keep them for all tasks together. */
static void return_addresses_of_kretprobes_in_a_table(void **state)
{
	struct suture_layout *l = &guest_kernel.layout;
	u64 table = syn_alloc(PAGE_SIZE), nodes[3];

	(void)state;
	l->kretprobe_table = table;
	l->kretprobe_heads = 64;
	assert_safe();
	for (u32 i = 0; i < 3; i++) {
		u64 from = i == 1 ? nodes[0] : table + 8 * (i ? 63 : 0);

		nodes[i] = syn_alloc(64);
		syn_set(from, nodes[i]);
		syn_set(nodes[i] + LIST_PREV, from);
		syn_set(nodes[i] + KRETPROBE_RET_ADDR, FUNC_START);
		syn_set(nodes[i] + KRETPROBE_TASK, sleeper);
	}
	for (u32 i = 0; i < 3; i++)
		assert_seen(nodes[i] + KRETPROBE_RET_ADDR, 100, "kretprobe");
	for (size_t i = 0; i < ARRAY_SIZE(hits); i++) {
		syn_set(nodes[1] + KRETPROBE_RET_ADDR, hits[i]);
		assert_blocked(100, "kretprobe");
	}
	syn_set(nodes[1] + KRETPROBE_RET_ADDR, FUNC_START);
	l->kretprobe_heads = 63;
	assert_unseen(nodes[2] + KRETPROBE_RET_ADDR);
	l->kretprobe_heads = 64;
	/* a task that is on no list either */
	syn_set(nodes[2] + KRETPROBE_TASK, syn_loose_task(300, "dying"));
	assert_seen(nodes[2] + KRETPROBE_RET_ADDR, 300, "kretprobe");
	syn_set(nodes[2] + KRETPROBE_TASK, 0);
	assert_not_judged(-EFAULT, "kretprobes");
	syn_set(nodes[2] + KRETPROBE_TASK, sleeper);
	/* one is being added or removed; no end */
	syn_set(nodes[1] + LIST_PREV, table);
	assert_not_judged(-ELOOP, "kretprobes");
	syn_set(nodes[1] + LIST_PREV, nodes[0]);
	assert_safe();
	syn_set(nodes[1], nodes[1]);
	assert_not_judged(-ELOOP, "kretprobes");
	syn_set(nodes[1], 0x1000);
	assert_not_judged(-EFAULT, "kretprobes");
}

/* A load balancer moves a task, which is on no run queue. */
static void while_a_task_is_moved(void **state)
{
	struct suture_layout *l = &guest_kernel.layout;
	u64 sp = syn_run(2, sleeper, 0x100), balance = SYN_TEXT + 0xe0000;

	(void)state;
	l->hiding[l->nr_hiding++] = (struct suture_hiding){balance, 0x80, "load_balance"};
	assert_safe();
	syn_set(sp + 16, balance + 0x20);
	assert_blocked(100, "stack");
	assert_string_equal(report.blocker.func, "load_balance");
	syn_set(sp + 16, balance);
	assert_safe();
	syn_set(sp + 16, 0);
	syn.cpus[3].ctx.ip = balance + 1;
	syn_put_context(3);
	assert_blocked(0, "ip");
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

static int count_page(u64 page, void *count)
{
	(void)page;
	++*(u32 *)count;
	return 0;
}

/* The maximum of both kinds, and one more: no caller gets more than it has room for. */
static void too_many_optimized_kprobes_to_judge(void **state)
{
	const struct suture_layout *l = &guest_kernel.layout;
	u32 count = 0;

	(void)state;
	for (u32 i = 0; i < GUEST_MAX_SLOT_PAGES; i++) {
		add_slot_page(l->kprobe_slots, SYN_MODULE + 2 * i * PAGE_SIZE);
		add_slot_page(l->optprobe_slots, SYN_MODULE + (2 * i + 1) * PAGE_SIZE);
	}
	assert_safe();
	add_slot_page(l->optprobe_slots, SYN_MODULE);
	assert_not_judged(-ELOOP, "kprobes");
	assert_int_equal(guest_for_each_slot_page(count_page, &count), -ELOOP);
	assert_int_equal(count, 2 * GUEST_MAX_SLOT_PAGES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(off_list_tasks_on_a_run_queue),
		TEST(off_list_tasks_of_a_dead_cpu),
		TEST(off_list_tasks_of_the_extensible_class),
		TEST(off_list_deadline_tasks),
		TEST(a_run_queue_that_is_being_changed),
		TEST(return_addresses_of_kretprobes),
		TEST(return_addresses_of_kretprobes_in_a_table),
		TEST(while_a_task_is_moved),
		TEST(while_a_kretprobe_takes_the_address),
		TEST(return_addresses_of_the_graph_tracer),
		TEST(copied_instructions_of_kprobes),
		TEST(too_many_kprobes_to_judge),
		TEST(too_many_optimized_kprobes_to_judge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
