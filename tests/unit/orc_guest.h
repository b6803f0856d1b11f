/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest around the code of orc_program.h: one CPU, its idle task and another, two modules. It
 * replaces guest/mem.c, so that Unicorn and the check use the same memory.
 */
#ifndef ORC_GUEST_H
#define ORC_GUEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <unicorn/unicorn.h>
#include "orc_program.h"
#include "arch/cpu.h"
#include "arch/time.h"
#include "core/pause.h"
#include "core/pool.h"
#include "guest/mem.h"
#include "guest/task.h"
#include "lib/errno.h"
#include "lib/string.h"

#define MODULES_SIZE PAGE_SIZE
#define MODULES	     (MODULE + TEXT_SIZE) /* struct module of two */
#define STACKS	     0xffffc90000000000ull
#define STACKS_SIZE  0x120000u
#define THREAD_SIZE  0x4000u
#define TASK_STACK   (STACKS + 0x10000)
#define IDLE_STACK   (STACKS + 0x20000)
#define STACK_TOP    (TASK_STACK + THREAD_SIZE)
#define IRQ_SIZE     0x4000u
#define REGS_SIZE    168u

/* Places in DATA, and in the structures there. */
enum {
	PERCPU_OFFSETS = 0x200,
	PERCPU = 0x1000,
	IDLE = 0x4000,
	TASK = 0x8000,
	SIGNAL = 0xc000,
	TABLES = 0x40000,
	TABLES_SIZE = 0x180000,
	ENTRIES = 0x80000,
};

enum { F_CURRENT = 0x10, F_IDLE = 0x18, F_IRQ = 0x20 };
enum {
	T_TASKS = 0x10,
	T_SIGNAL = 0x20,
	T_NODE = 0x30,
	T_STACK = 0x40,
	T_SP = 0x48,
	T_ON_CPU = 0x50,
	T_PID = 0x54,
	T_COMM = 0x58
};
enum {
	M_LIST = 8,
	M_TEXT = 0x20,
	M_SIZE = 0x28,
	M_COUNT = 0x2c,
	M_IPS = 0x30,
	M_ORCS = 0x38,
	M_STRIDE = 0x100
};

static u8 data[DATA_SIZE] __attribute__((aligned(PAGE_SIZE)));
static u8 modules[MODULES_SIZE] __attribute__((aligned(PAGE_SIZE)));
static u8 stacks[STACKS_SIZE] __attribute__((aligned(PAGE_SIZE)));

static const struct {
	u64 base, size;
	u8 *bytes;
	u32 prot;
} memory[] = {
	{TEXT, TEXT_SIZE, texts[0].code, UC_PROT_READ | UC_PROT_EXEC},
	{MODULE, TEXT_SIZE, texts[1].code, UC_PROT_READ | UC_PROT_EXEC},
	{MODULES, MODULES_SIZE, modules, UC_PROT_READ},
	{DATA, DATA_SIZE, data, UC_PROT_READ | UC_PROT_WRITE},
	{STACKS, STACKS_SIZE, stacks, UC_PROT_READ | UC_PROT_WRITE},
};

/* ---- functions that the check calls ---- */

const void *guest_at(gva_t va, size_t *left)
{
	for (u32 i = 0; i < ARRAY_SIZE(memory); i++) {
		if (va.v - memory[i].base >= memory[i].size)
			continue;
		*left = memory[i].size - (va.v - memory[i].base);
		return memory[i].bytes + (va.v - memory[i].base);
	}
	return NULL;
}

int guest_read(gva_t va, void *buf, size_t len)
{
	size_t left;
	const void *at = guest_at(va, &left);

	if (!at || left < len)
		return -EFAULT;
	memcpy(buf, at, len);
	return 0;
}

int guest_read_u64(gva_t va, u64 *v)
{
	return guest_read(va, v, sizeof(*v));
}

int guest_read_u32(gva_t va, u32 *v)
{
	return guest_read(va, v, sizeof(*v));
}

bool guest_is_ram(ipa_t ipa, u64 len)
{
	(void)ipa, (void)len;
	return true;
}

void guest_cache_begin(void)
{
}

void guest_cache_end(void)
{
}

void *pool_alloc(size_t pages)
{
	return calloc(pages, PAGE_SIZE);
}

void pool_free(void *p, size_t pages)
{
	(void)pages;
	free(p);
}

u64 arch_time_us(void)
{
	return 0;
}

u64 pause_left_us(const struct pause *p)
{
	(void)p;
	return 1000;
}

static struct vcpu_context context; /* of the one CPU */

void arch_vcpu_context(const struct cpu *c, struct vcpu_context *ctx)
{
	(void)c;
	*ctx = context;
}

/* ---- the guest ---- */

static u64 get(u64 va)
{
	u64 word = 0;

	assert_int_equal(guest_read_u64(GVA(va), &word), 0);
	return word;
}

static void set(u64 va, u64 word)
{
	size_t left;
	const u8 *at = guest_at(GVA(va), &left);

	assert_non_null(at);
	memcpy((u8 *)(uintptr_t)at, &word, sizeof(word));
}

static void set32(u64 va, u32 v)
{
	set(va, (get(va) & ~0xffffffffull) | v);
}

static void link_list(const u64 *nodes, u32 count)
{
	for (u32 i = 0; i < count; i++) {
		set(nodes[i], nodes[(i + 1) % count]);
		set(nodes[i] + 8, nodes[(i + count - 1) % count]);
	}
}

static void make_task(u64 task, u64 stack, u32 pid)
{
	set(task + T_STACK, stack);
	set32(task + T_PID, pid);
	set(task + T_COMM, pid ? 0x6b736174 : 0x656c6469);
}

static void make_tables(u32 format)
{
	struct suture_layout *l = &guest_kernel.layout;

	for (u32 i = 0; i < 2; i++) {
		u64 ips = DATA + TABLES + i * TABLES_SIZE;

		write_tables(&texts[i], format, ips, data + (ips - DATA),
			     data + (ips - DATA) + ENTRIES);
	}
	l->orc_format = format;
	l->orc_ip_start = DATA + TABLES;
	l->orc_ip_end = l->orc_ip_start + 4ull * texts[0].nr_orcs;
	l->orc_start = l->orc_ip_start + ENTRIES;
	l->orc_end = l->orc_start + 6ull * texts[0].nr_orcs;
}

static void make_guest(void)
{
	const u64 task_list[] = {DATA + IDLE + T_TASKS, DATA + TASK + T_TASKS};
	const u64 threads[] = {DATA + SIGNAL, DATA + TASK + T_NODE};
	/* The agent's, the list's head, and one with functions. */
	const u64 module_list[] = {MODULES + M_LIST, DATA + 0x300, MODULES + M_STRIDE + M_LIST};
	const u64 with_text = MODULES + M_STRIDE;

	guest_kernel.layout = (struct suture_layout){
		.text_start = TEXT,
		.text_end = TEXT + TEXT_SIZE,
		.init_task = DATA + IDLE,
		.per_cpu_offset = DATA + PERCPU_OFFSETS,
		.pcpu_current = F_CURRENT,
		.pcpu_idle = F_IDLE,
		.pcpu_irq_stack = F_IRQ,
		.modules_start = MODULE,
		.modules_end = MODULES + MODULES_SIZE,
		.modules_entry = module_list[0],
		.nr_cpu_ids = 1,
		.thread_size = THREAD_SIZE,
		.irq_stack_size = IRQ_SIZE,
		.irq_stack_offset = -(s32)IRQ_SIZE,
		.task_tasks = T_TASKS,
		.task_signal = T_SIGNAL,
		.task_thread_node = T_NODE,
		.task_stack = T_STACK,
		.task_sp = T_SP,
		.task_pc = SUTURE_NONE,
		.task_on_cpu = T_ON_CPU,
		.task_pid = T_PID,
		.task_comm = T_COMM,
		.module_list = M_LIST,
		.module_text = M_TEXT,
		.module_text_size = M_SIZE,
		.module_orc_ip = M_IPS,
		.module_orc = M_ORCS,
		.module_nr_orcs = M_COUNT,
	};
	set(DATA + PERCPU_OFFSETS, DATA + PERCPU);
	set(DATA + PERCPU + F_IDLE, DATA + IDLE);
	set(DATA + PERCPU + F_IRQ, IRQ_TOP - 8);
	make_task(DATA + IDLE, IDLE_STACK, 0);
	make_task(DATA + TASK, TASK_STACK, 1);
	set(DATA + TASK + T_SIGNAL, DATA + SIGNAL);
	link_list(task_list, 2);
	link_list(threads, 2);
	link_list(module_list, 3);
	set(with_text + M_TEXT, MODULE);
	set32(with_text + M_SIZE, TEXT_SIZE);
	set32(with_text + M_COUNT, texts[1].nr_orcs);
	set(with_text + M_IPS, DATA + TABLES + TABLES_SIZE);
	set(with_text + M_ORCS, DATA + TABLES + TABLES_SIZE + ENTRIES);
	set(DATA_RNG, 12345);
	nr_cpus = 2;
	cpus[0].state = CPU_SERVICE;
	cpus[1] = (struct cpu){.id = 1, .state = CPU_HELD};
}

#endif
