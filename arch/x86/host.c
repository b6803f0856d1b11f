/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/cpu.h"
#include "arch/memory.h"
#include "arch/pagetable.h"
#include "core/pool.h"
#include "hv.h"
#include "insn.h"
#include "lib/errno.h"
#include "lib/string.h"

#define PTE_PWT (1ull << 3)
#define PTE_PCD (1ull << 4)

#define FN7_EBX_SMEP (1u << 7)
#define FN7_EBX_SMAP (1u << 20)

#define STACK_PAGES	    4
#define SERVICE_STACK_PAGES 16
#define IST_STACKS	    3

/* ---- page tables: the walker of stage 2 serves them too ---- */

static u64 host_cr4;
static pa_t host_tables;
static struct pt_format host_format; /* the guest's 4-level format, and how to make entries */

static u64 host_make_leaf(u64 pa, u32 level, u32 attrs)
{
	return x86_make_leaf(pa, level, attrs) | (attrs & PT_DEVICE ? PTE_PCD | PTE_PWT : 0);
}

/*
 * The monitor's CR4 has the bits that guests set too, as far as they have no effect here (the
 * monitor has neither global nor user pages): emulators flush their TLB at each entry and exit
 * where these bits differ.
 */
static u64 choose_cr4(void)
{
	u32 features = cpuid(0, 0).eax >= 7 ? cpuid(7, 0).ebx : 0;

	return CR4_PSE | CR4_PAE | CR4_MCE | CR4_PGE | (features & FN7_EBX_SMEP ? CR4_SMEP : 0) |
	       (features & FN7_EBX_SMAP ? CR4_SMAP : 0);
}

const struct pt_format *arch_monitor_format(void)
{
	host_format = *arch_guest_format(4);
	host_format.name = "monitor";
	host_format.max_leaf_level = arch_stage2_format()->max_leaf_level;
	host_format.memory_type = arch_stage2_format()->memory_type;
	host_format.make_leaf = host_make_leaf;
	host_format.make_table = x86_make_table;
	return &host_format;
}

void host_init(pa_t tables)
{
	host_tables = tables;
	host_cr4 = choose_cr4();
	trap_init();
}

u64 host_root(void)
{
	return host_tables.v;
}

u64 host_debugctl(void)
{
	return rdmsr(MSR_DEBUGCTL);
}

void host_set_debugctl(u64 value)
{
	wrmsr(MSR_DEBUGCTL, value);
}

/* ---- segments and stacks ---- */

static u64 alloc_stack(size_t pages)
{
	u8 *p = pool_alloc(pages);

	return p ? (u64)p + pages * PAGE_SIZE : 0;
}

int host_init_cpu(struct cpu *c)
{
	struct host_cpu *h = &c->arch->host;
	bool service = c->id == machine->service_cpu;
	u64 tss = (u64)&h->tss;

	h->stack_top = alloc_stack(service ? SERVICE_STACK_PAGES : STACK_PAGES);
	if (!h->stack_top)
		return -ENOMEM;
	for (u32 i = 0; i < IST_STACKS; i++) {
		h->tss.ist[i] = alloc_stack(1);
		if (!h->tss.ist[i])
			return -ENOMEM;
	}
	h->tss.iomap = sizeof(h->tss);
	h->gdt[HOST_CS / 8] = 0x00af9b000000ffffull;
	h->gdt[HOST_DS / 8] = 0x00cf93000000ffffull;
	h->gdt[HOST_TR / 8] = (sizeof(h->tss) - 1) | (tss & 0xffffff) << 16 | 0x89ull << 40 |
			      (tss >> 24 & 0xff) << 56;
	h->gdt[HOST_TR / 8 + 1] = tss >> 32;
	return 0;
}

static void load_segments(struct host_cpu *h)
{
	struct descriptor_table gdt = {.limit = sizeof(h->gdt) - 1, .base = (u64)h->gdt};

	/* LTR marks it busy, and refuses a busy one: this CPU may have been here before. */
	h->gdt[HOST_TR / 8] &= ~(2ull << 40);
	__asm__ volatile("lgdt %0\n"
			 "pushq %1\n"
			 "leaq 1f(%%rip), %%rax\n"
			 "pushq %%rax\n"
			 "lretq\n"
			 "1: mov %2, %%ds\n"
			 "mov %2, %%es\n"
			 "mov %2, %%ss\n"
			 "mov %3, %%fs\n"
			 "mov %3, %%gs\n"
			 "ltr %w4\n"
			 "lidt %5\n" ::"m"(gdt),
			 "i"(HOST_CS), "r"(HOST_DS), "r"(0), "r"(HOST_TR), "m"(host_idt)
			 : "rax", "memory");
}

void host_load(struct cpu *c)
{
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE);
	write_cr3(host_root());
	write_cr0(CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG);
	write_cr4(host_cr4);
	wrmsr(MSR_PAT, PAT_RESET);
	/* Reload CR3, so that the memory types of this PAT apply. */
	write_cr3(host_root());
	load_segments(&c->arch->host);
	wrmsr(MSR_GS_BASE, (u64)c->arch);
}

struct cpu *cpu_this(void)
{
	struct cpu *c;

	__asm__ volatile("mov %%gs:0, %0" : "=r"(c));
	return c;
}
