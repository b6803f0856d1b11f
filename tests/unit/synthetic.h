/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A synthetic guest kernel in the fake machine's memory: tables, per-CPU areas, tasks and stacks.
 * One at a time; each test begins with syn_new().
 */
#ifndef SYNTHETIC_H
#define SYNTHETIC_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "fake.h"
#include "core/cpu.h"
#include "guest/kernel.h"
#include "guest/mem.h"
#include "guest/register.h"
#include "guest/task.h"
#include "lib/errno.h"
#include "stage2/pt.h"

#define SYN_DIRECT 0xffff888000000000ull /* of physical 0; 2 MiB leaves */
#define SYN_VMAP   0xffffc90000000000ull /* stacks; 4 KiB leaves, guard pages in between */
#define SYN_TEXT   0xffffffff81000000ull
#define SYN_MODULE 0xffffffffa0000000ull

#define SYN_TEXT_SIZE	0x100000ull
#define SYN_THREAD_SIZE 0x4000u
#define SYN_IRQ_SIZE	0x4000u
#define SYN_EXC_SIZE	0x6000u /* a page of guard, a stack of two, twice */
#define SYN_ENTRY_SIZE	0x1000u
#define SYN_TASK_SIZE	0x2400u
#define SYN_SAVED_REGS	10u
#define SYN_SCS_SIZE	0x1000u
#ifndef SYN_MAX_CPU_IDS
#define SYN_MAX_CPU_IDS 8
#endif
#define SYN_RT_PRIOS  8u
#define SYN_RET_DEPTH 50u
#define SYN_HOOK      (SYN_TEXT + 0xf0000)
#define SYN_HOOK_SIZE 0x100ull

/* Places in the per-CPU area, task_struct and signal_struct. */
enum {
	PCPU_CURRENT = 0x100,
	PCPU_IDLE = 0x108,
	PCPU_IRQ = 0x110,
	PCPU_EXC = 0x118,
	PCPU_ENTRY = 0x120,
	PCPU_IRQ_SCS = 0x128,
	TASK_STACK = 0x20,
	TASK_ON_CPU = 0x34,
	TASK_TASKS = 0x8f8,
	TASK_PID = 0x998,
	TASK_THREAD_NODE = 0xa50,
	TASK_COMM = 0xba8,
	TASK_SWITCHES = 0xb00,
	TASK_START = 0xb10,
	TASK_SIGNAL = 0xbf8,
	TASK_SP = 0x1458,
	TASK_PC = 0x1460,
	TASK_REGS = 0x1468, /* SYN_SAVED_REGS */
	TASK_SCS_BASE = 0x40,
	TASK_SCS_SP = 0x48,
	SIGNAL_THREAD_HEAD = 0x10,
	PCPU_RQ = 0x200,
	RQ_LOCK = 0x8,
	RQ_CFS_TASKS = 0x40,
	RQ_RT_QUEUE = 0x80,
	RQ_DL_ROOT = 0x180,
	TASK_GROUP_NODE = 0xa8,
	TASK_RT_RUN_LIST = 0x200,
	TASK_DL_NODE = 0x240,
	TASK_RETHOOKS = 0x1300,
	TASK_RET_STACK = 0x1310,
	TASK_CURR_RET_STACK = 0x131c,
	RETHOOK_RET_ADDR = 16,
	RET_STACK_ENTRY = 40,
	RET_STACK_RET = 8,
	SLOT_PAGE_INSNS = 16,
	KRETPROBE_RET_ADDR = 24,
	KRETPROBE_TASK = 32,
	RQ_SCX_TASKS = 0x190,
	TASK_SCX_NODE = 0x280,
	LIST_PREV = 8,
};

struct syn_cpu {
	u64 base;
	u64 irq, exc, entry; /* lowest addresses */
	u64 idle;	     /* task */
	struct vcpu_context ctx;
};

static struct {
	ipa_t root;
	u32 levels;
	u64 next_vmap;
	u64 made; /* tasks */
	u8 *text;
	struct suture_hello hello;
	struct syn_cpu cpus[SYN_MAX_CPU_IDS + 1]; /* [0] is the service CPU's: not used */
} syn;

/* The test's view of guest memory at va. */
static inline void *syn_at(u64 va)
{
	const struct pt_format *f = arch_guest_format(syn.levels);
	u64 entry, table = syn.root.v;
	u32 level = f->top_level;

	for (;; level--) {
		entry = ((u64 *)arch_ptr(PA(table)))[pt_index(f, va, level)];
		assert_true(f->present(entry, level));
		if (level == 0 || f->leaf(entry, level))
			break;
		table = f->addr(entry, level);
	}
	return arch_ptr(PA(f->addr(entry, level) + va % pt_level_size(f, level)));
}

static inline void syn_set(u64 va, u64 word)
{
	memcpy(syn_at(va), &word, sizeof(word));
}

static inline void syn_set32(u64 va, u32 v)
{
	memcpy(syn_at(va), &v, sizeof(v));
}

static inline u64 syn_get(u64 va)
{
	u64 word;

	memcpy(&word, syn_at(va), sizeof(word));
	return word;
}

/* Memory in the direct map. */
static inline u64 syn_alloc(u64 size)
{
	return SYN_DIRECT + fake_guest_alloc(size).v;
}

/* Memory of its own pages, a guard page on either side. */
static inline u64 syn_vmap(u64 size)
{
	u64 va = syn.next_vmap;

	fake_map_new(syn.root, syn.levels, va, size, PT_READ | PT_WRITE);
	syn.next_vmap += size + PAGE_SIZE;
	return va;
}

static inline void syn_unmap(u64 va)
{
	fake_map(syn.root, syn.levels, va, IPA(FAKE_RAM_BASE), PAGE_SIZE, 0, 0);
}

static inline void syn_list_init(u64 head)
{
	syn_set(head, head);
	syn_set(head + LIST_PREV, head);
}

static inline void syn_list_add_tail(u64 node, u64 head)
{
	u64 prev = syn_get(head + LIST_PREV);

	syn_set(node, head);
	syn_set(node + LIST_PREV, prev);
	syn_set(prev, node);
	syn_set(head + LIST_PREV, node);
}

/* A task on no list, asleep with an empty stack. */
static inline u64 syn_loose_task(u32 pid, const char *comm)
{
	u64 task = syn_alloc(SYN_TASK_SIZE), stack = syn_vmap(SYN_THREAD_SIZE);

	syn_set(task + TASK_STACK, stack);
	syn_set(task + TASK_SP, stack + SYN_THREAD_SIZE);
	syn_set32(task + TASK_PID, pid);
	syn_set(task + TASK_START, ++syn.made);
	syn_set32(task + TASK_CURR_RET_STACK, ~0u);
	strncpy(syn_at(task + TASK_COMM), comm, 16);
	return task;
}

static inline void syn_make_leader(u64 task)
{
	u64 signal = syn_alloc(PAGE_SIZE);

	syn_set(task + TASK_SIGNAL, signal);
	syn_list_init(signal + SIGNAL_THREAD_HEAD);
	syn_list_add_tail(task + TASK_THREAD_NODE, signal + SIGNAL_THREAD_HEAD);
}

/* A process with one thread. */
static inline u64 syn_task(u32 pid, const char *comm)
{
	u64 task = syn_loose_task(pid, comm);

	syn_make_leader(task);
	syn_list_add_tail(task + TASK_TASKS, syn.hello.layout.init_task + TASK_TASKS);
	return task;
}

/* The list has these and no others: processes without threads, of which it is all that is there. */
static inline void syn_processes_without_threads(u32 count)
{
	u64 signal = syn_alloc(PAGE_SIZE), at = syn_alloc(32ull * count);

	syn_list_init(signal + SIGNAL_THREAD_HEAD);
	syn_list_init(syn.hello.layout.init_task + TASK_TASKS);
	guest_kernel.layout.task_signal = TASK_TASKS + 16;
	for (u32 i = 0; i < count; i++, at += 32) {
		syn_list_add_tail(at, syn.hello.layout.init_task + TASK_TASKS);
		syn_set(at + 16, signal);
	}
}

/* One more thread of the leader's process. */
static inline u64 syn_thread(u64 leader, u32 pid, const char *comm)
{
	u64 task = syn_loose_task(pid, comm), signal = syn_get(leader + TASK_SIGNAL);

	syn_set(task + TASK_SIGNAL, signal);
	syn_list_add_tail(task + TASK_THREAD_NODE, signal + SIGNAL_THREAD_HEAD);
	return task;
}

static inline u64 syn_stack(u64 task)
{
	return syn_get(task + TASK_STACK);
}

static inline u64 syn_stack_end(u64 task)
{
	return syn_stack(task) + SYN_THREAD_SIZE;
}

/* Asleep with `used` bytes of stack. Returns the saved stack pointer. */
static inline u64 syn_sleep(u64 task, u64 used)
{
	u64 sp = syn_stack_end(task) - used;

	syn_set(task + TASK_SP, sp);
	syn_set32(task + TASK_ON_CPU, 0);
	return sp;
}

static inline void syn_put_context(u32 cpu)
{
	fake_set_context(&cpus[cpu], &syn.cpus[cpu].ctx);
}

/* A kernel with shadow call stacks: returns the task's, of which `used` bytes are in use. */
static inline u64 syn_shadow(u64 task, u64 used)
{
	u64 low = syn_vmap(SYN_SCS_SIZE);

	guest_kernel.layout.task_scs_base = TASK_SCS_BASE;
	guest_kernel.layout.task_scs_sp = TASK_SCS_SP;
	guest_kernel.layout.scs_size = SYN_SCS_SIZE;
	syn_set(task + TASK_SCS_BASE, low);
	syn_set(task + TASK_SCS_SP, low + used);
	return low;
}

/* Task runs on the CPU (in kernel mode) with `used` bytes of stack. Returns the stack pointer. */
static inline u64 syn_run(u32 cpu, u64 task, u64 used)
{
	struct syn_cpu *c = &syn.cpus[cpu];

	syn_set32(syn_get(c->base + PCPU_CURRENT) + TASK_ON_CPU, 0);
	syn_set(c->base + PCPU_CURRENT, task);
	syn_set32(task + TASK_ON_CPU, 1);
	c->ctx.user = false;
	c->ctx.ip = SYN_TEXT;
	c->ctx.sp = syn_stack_end(task) - used;
	syn_put_context(cpu);
	return c->ctx.sp;
}

static inline void syn_make_cpu(u32 cpu)
{
	struct syn_cpu *c = &syn.cpus[cpu];
	char comm[16];

	c->base = syn_alloc(PAGE_SIZE);
	c->irq = syn_vmap(SYN_IRQ_SIZE);
	c->exc = syn_vmap(SYN_EXC_SIZE);
	syn_unmap(c->exc);
	syn_unmap(c->exc + 3 * PAGE_SIZE);
	c->entry = syn_vmap(SYN_ENTRY_SIZE);
	snprintf(comm, sizeof(comm), "swapper/%u", cpu - 1);
	c->idle = cpu == 1 ? syn.hello.layout.init_task : syn_loose_task(0, comm);
	syn_set(syn.hello.layout.per_cpu_offset + 8 * (cpu - 1), c->base);
	syn_set(c->base + PCPU_CURRENT, c->idle);
	syn_set(c->base + PCPU_IDLE, c->idle);
	syn_set(c->base + PCPU_IRQ, c->irq + SYN_IRQ_SIZE - 8);
	syn_set(c->base + PCPU_EXC, c->exc);
	syn_set(c->base + PCPU_ENTRY, c->exc);
	syn_list_init(c->base + PCPU_RQ + RQ_CFS_TASKS);
	for (u32 i = 0; i < SYN_RT_PRIOS; i++)
		syn_list_init(c->base + PCPU_RQ + RQ_RT_QUEUE + 16 * i);
	/* As if the entry stack were behind the exception stacks. */
	c->ctx.percpu_base = c->base;
	cpus[cpu].state = CPU_HELD;
	syn_run(cpu, c->idle, 64);
}

/* ELF notes, the build-id behind another one. */
static inline void syn_make_notes(void)
{
	struct suture_hello *h = &syn.hello;
	u64 notes = syn_alloc(PAGE_SIZE);
	u32 other[] = {6, 5, 0x100, 0x756e694c, 0x00000078, 0x01020304, 0x00000005};
	u32 id[] = {4, 20, 3, 0x00554e47};

	memcpy(syn_at(notes), other, sizeof(other));
	memcpy(syn_at(notes + sizeof(other)), id, sizeof(id));
	for (u32 i = 0; i < 20; i++)
		h->build_id[i] = (u8)(0xa0 + i);
	h->build_id_len = 20;
	memcpy(syn_at(notes + sizeof(other) + sizeof(id)), h->build_id, 20);
	h->notes_start = notes;
	h->notes_end = notes + sizeof(other) + sizeof(id) + 20;
}

/* A kernel with `count` CPUs, all held in their idle tasks; not registered yet. */
static inline void syn_new_unregistered(u32 count, u32 levels)
{
	const struct guest_ram ram = {FAKE_RAM_BASE, FAKE_GUEST_RAM_SIZE};
	struct suture_layout *l = &syn.hello.layout;

	fake_reset(count);
	guest_kernel_forget();
	memset(&syn, 0, sizeof(syn));
	assert_int_equal(guest_mem_init(&ram, 1, 0, 0), 0);
	syn.levels = levels;
	/* two pages, as with page table isolation: the kernel's tables, then the user's */
	syn.root = IPA(ALIGN_UP(fake_guest_alloc(3 * PAGE_SIZE).v, 2 * PAGE_SIZE));
	syn.next_vmap = SYN_VMAP;
	fake_map(syn.root, levels, SYN_DIRECT + FAKE_RAM_BASE, IPA(FAKE_RAM_BASE),
		 FAKE_GUEST_RAM_SIZE, PT_READ | PT_WRITE, 1);
	syn.text = fake_map_new(syn.root, levels, SYN_TEXT, SYN_TEXT_SIZE, PT_READ | PT_EXEC);
	memset(syn.text, 0x90, SYN_TEXT_SIZE);

	*l = (struct suture_layout){
		.text_start = SYN_TEXT,
		.text_end = SYN_TEXT + SYN_TEXT_SIZE,
		.kernel_pgd = syn.root.v,
		.pcpu_current = PCPU_CURRENT,
		.pcpu_idle = PCPU_IDLE,
		.pcpu_irq_stack = PCPU_IRQ,
		.pcpu_exc_stacks = PCPU_EXC,
		.pcpu_entry_stack = PCPU_ENTRY,
		.modules_start = SYN_MODULE,
		.modules_end = SYN_MODULE + 0x1000000,
		.nr_cpu_ids = SYN_MAX_CPU_IDS,
		.page_levels = levels,
		.thread_size = SYN_THREAD_SIZE,
		.irq_stack_size = SYN_IRQ_SIZE,
		.irq_stack_offset = -(s32)SYN_IRQ_SIZE,
		.exc_stacks_size = SYN_EXC_SIZE,
		.entry_stack_offset = SYN_EXC_SIZE + PAGE_SIZE,
		.entry_stack_size = SYN_ENTRY_SIZE,
		.task_tasks = TASK_TASKS,
		.task_signal = TASK_SIGNAL,
		.signal_thread_head = SIGNAL_THREAD_HEAD,
		.task_thread_node = TASK_THREAD_NODE,
		.task_stack = TASK_STACK,
		.task_sp = TASK_SP,
		.task_pc = SUTURE_NONE,
		.task_on_cpu = TASK_ON_CPU,
		.task_pid = TASK_PID,
		.task_comm = TASK_COMM,
		.task_switches = TASK_SWITCHES,
		.task_start = TASK_START,
		.pcpu_rq = PCPU_RQ,
		.rq_lock = RQ_LOCK,
		.rq_cfs_tasks = RQ_CFS_TASKS,
		.rq_rt_queue = RQ_RT_QUEUE,
		.rq_dl_root = RQ_DL_ROOT,
		.rt_prios = SYN_RT_PRIOS,
		.task_group_node = TASK_GROUP_NODE,
		.task_rt_run_list = TASK_RT_RUN_LIST,
		.task_dl_node = TASK_DL_NODE,
		.task_rethooks = TASK_RETHOOKS,
		.rethook_ret_addr = RETHOOK_RET_ADDR,
		.task_ret_stack = TASK_RET_STACK,
		.task_curr_ret_stack = TASK_CURR_RET_STACK,
		.ret_stack_entry = RET_STACK_ENTRY,
		.ret_stack_ret = RET_STACK_RET,
		.ret_stack_depth = SYN_RET_DEPTH,
		.slot_page_insns = SLOT_PAGE_INSNS,
		.nr_hiding = 1,
		.hiding = {{SYN_HOOK, SYN_HOOK_SIZE, "rethook_hook"}},
		.kretprobe_ret_addr = KRETPROBE_RET_ADDR,
		.kretprobe_task = KRETPROBE_TASK,
		.rq_scx_tasks = SUTURE_NONE,
		.task_scx_node = TASK_SCX_NODE,
	};
	l->kprobe_slots = syn_alloc(64);
	l->optprobe_slots = syn_alloc(64);
	syn_list_init(l->kprobe_slots);
	syn_list_init(l->optprobe_slots);
	l->per_cpu_offset = syn_alloc(8ull * (SYN_MAX_CPU_IDS + 1));
	l->init_task = syn_loose_task(0, "swapper/0");
	syn_make_leader(l->init_task);
	syn_list_init(l->init_task + TASK_TASKS);
	for (u32 i = 1; i <= count; i++)
		syn_make_cpu(i);
	syn_make_notes();
	memcpy(arch_ptr(PA(syn.root.v + PAGE_SIZE)), arch_ptr(PA(syn.root.v)), PAGE_SIZE);
	strcpy(syn.hello.release, "6.1.0-synthetic");
}

static inline void syn_new(u32 count)
{
	char why[128] = "";

	syn_new_unregistered(count, 4);
	if (guest_kernel_register(&syn.hello, why, sizeof(why)))
		fail_msg("%s", why);
}

#endif
