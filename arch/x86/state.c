/* SPDX-License-Identifier: BSD-2-Clause */
/* The state in which a CPU enters the guest first. */
#include "hv.h"
#include "insn.h"
#include "lib/string.h"

const u32 syscall_msrs[NR_SYSCALL_MSRS] = {
	[SYSCALL_STAR] = MSR_STAR,
	[SYSCALL_LSTAR] = MSR_LSTAR,
	[SYSCALL_CSTAR] = MSR_CSTAR,
	[SYSCALL_SFMASK] = MSR_SFMASK,
	[SYSCALL_KERNEL_GS_BASE] = MSR_KERNEL_GS_BASE,
	[SYSENTER_CS] = MSR_SYSENTER_CS,
	[SYSENTER_ESP] = MSR_SYSENTER_ESP,
	[SYSENTER_EIP] = MSR_SYSENTER_EIP,
};

/* attributes of segments after INIT: data, code; LDT, busy TSS */
#define INIT_DATA 0x93
#define INIT_CODE 0x9b
#define INIT_LDTR 0x82
#define INIT_TR	  0x8b

/* A segment by its descriptor in the current GDT; for a null selector, `null`. */
static struct segment read_segment(const struct descriptor_table *gdt, u16 selector,
				   struct segment null)
{
	struct segment s = {.selector = selector};
	u64 d[2];
	size_t size;

	if (!(selector & ~7) || selector + 7u > gdt->limit)
		return null;
	memcpy(d, (const void *)(gdt->base + (selector & ~7u)), sizeof(d[0]));
	s.attributes = (u16)((d[0] >> 40 & 0xff) | (d[0] >> 52 & 0xf) << 8);
	s.limit = (u32)((d[0] & 0xffff) | (d[0] >> 32 & 0xf0000));
	if (d[0] >> 55 & 1)
		s.limit = s.limit << 12 | 0xfff;
	s.base = (d[0] >> 16 & 0xffffff) | (d[0] >> 32 & 0xff000000);
	/* System descriptors have 16 bytes (APM vol. 2, 4.8.3). */
	size = d[0] >> 44 & 1 ? 8 : 16;
	if (size == 16 && (selector & ~7u) + 15 <= gdt->limit) {
		memcpy(&d[1], (const void *)(gdt->base + (selector & ~7u) + 8), sizeof(d[1]));
		s.base |= d[1] << 32;
	}
	return s;
}

#define STORE(insn)                                                                                \
	({                                                                                         \
		u16 selector_;                                                                     \
		__asm__ volatile(insn : "=r"(selector_));                                          \
		selector_;                                                                         \
	})

static void capture_segments(struct guest_state *s)
{
	const struct segment none = {0}, no_ldt = {.attributes = INIT_LDTR, .limit = 0xffff};
	/* The firmware need not have loaded TR; then it is the one after reset, in 64-bit form. */
	const struct segment no_tss = {.attributes = INIT_TR, .limit = 0xffff};
	struct descriptor_table gdt, idt;

	__asm__ volatile("sgdt %0; sidt %1" : "=m"(gdt), "=m"(idt));
	s->gdtr = (struct segment){.limit = gdt.limit, .base = gdt.base};
	s->idtr = (struct segment){.limit = idt.limit, .base = idt.base};
	s->cs = read_segment(&gdt, STORE("mov %%cs, %0"), none);
	s->ss = read_segment(&gdt, STORE("mov %%ss, %0"), none);
	s->ds = read_segment(&gdt, STORE("mov %%ds, %0"), none);
	s->es = read_segment(&gdt, STORE("mov %%es, %0"), none);
	s->fs = read_segment(&gdt, STORE("mov %%fs, %0"), none);
	s->gs = read_segment(&gdt, STORE("mov %%gs, %0"), none);
	s->ldtr = read_segment(&gdt, STORE("sldt %w0"), no_ldt);
	s->tr = read_segment(&gdt, STORE("str %w0"), no_tss);
	s->fs.base = rdmsr(MSR_FS_BASE);
	s->gs.base = rdmsr(MSR_GS_BASE);
}

void state_capture(struct guest_state *s, const struct native_frame *frame)
{
	*s = (struct guest_state){
		.rip = frame->rip,
		.rflags = frame->rflags,
		.cr0 = read_cr0(),
		.cr2 = read_cr2(),
		.cr3 = read_cr3(),
		.cr4 = read_cr4(),
		.efer = rdmsr(MSR_EFER),
		.dr6 = DR6_RESET,
		.dr7 = read_dr7(),
		.pat = rdmsr(MSR_PAT),
	};
	capture_segments(s);
	for (u32 i = 0; i < NR_SYSCALL_MSRS; i++)
		s->syscall[i] = rdmsr(syscall_msrs[i]);
	s->gpr[RSP] = (u64)(frame + 1);
	s->gpr[RBX] = frame->rbx;
	s->gpr[RBP] = frame->rbp;
	s->gpr[R12] = frame->r12;
	s->gpr[R13] = frame->r13;
	s->gpr[R14] = frame->r14;
	s->gpr[R15] = frame->r15;
}

void state_reset(struct guest_state *s, u8 vector, u64 cr0)
{
	const struct segment data = {.attributes = INIT_DATA, .limit = 0xffff};

	*s = (struct guest_state){
		.gpr[RDX] = cpuid(1, 0).eax, /* family, model, stepping */
		.rflags = RFLAGS_FIXED,
		.cr0 = CR0_ET | (cr0 & (CR0_CD | CR0_NW)),
		.dr6 = DR6_RESET,
		.dr7 = DR7_RESET,
		.pat = PAT_RESET,
		.es = data,
		.ss = data,
		.ds = data,
		.fs = data,
		.gs = data,
		.cs = {.selector = (u16)(vector << 8),
		       .attributes = INIT_CODE,
		       .limit = 0xffff,
		       .base = (u64)vector << 12},
		.ldtr = {.attributes = INIT_LDTR, .limit = 0xffff},
		.tr = {.attributes = INIT_TR, .limit = 0xffff},
		.gdtr.limit = 0xffff,
		.idtr.limit = 0xffff,
	};
}
