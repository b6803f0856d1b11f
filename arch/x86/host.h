/* SPDX-License-Identifier: BSD-2-Clause */
/* The monitor's own environment on a CPU: page tables, GDT, IDT, TSS, stacks, interrupts. */
#ifndef X86_HOST_H
#define X86_HOST_H

/* selectors in each CPU's GDT */
#define HOST_CS 0x08
#define HOST_DS 0x10
#define HOST_TR 0x18

/* vectors on the service CPU */
#define VEC_TIMER    0xf0
#define VEC_WAKE     0xf1
#define VEC_NIC	     0xf2
#define VEC_SPURIOUS 0xff
/* the task priority below their class: no other interrupt of a lower one comes (APM vol. 2, 16.6.4)
 */
#define PRIORITY_BELOW_OURS 0xe0

#ifndef __ASSEMBLY__
#include "core/cpu.h"

struct tss {
	u32 reserved0;
	u64 rsp[3];
	u64 reserved1;
	u64 ist[7]; /* IST n is ist[n - 1] */
	u64 reserved2;
	u16 reserved3, iomap;
} __attribute__((packed));

/* Of the IDT (APM vol. 2, 4.8.4). */
struct gate {
	u16 offset_low, selector;
	u8 ist, type;
	u16 offset_mid;
	u32 offset_high, reserved;
};

#define GATE_INTERRUPT 0x8e /* present, DPL 0: interrupts stay off */

static inline struct gate gate_to(u64 to)
{
	return (struct gate){
		.offset_low = (u16)to,
		.offset_mid = (u16)(to >> 16),
		.offset_high = (u32)(to >> 32),
		.selector = HOST_CS,
		.type = GATE_INTERRUPT,
	};
}

struct host_cpu {
	u64 gdt[5];
	struct tss tss;
	u64 stack_top; /* 16-byte aligned */
};

/* The registers that isr.S saves. */
struct trap_frame {
	u64 r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
	u64 vector, error;
	u64 rip, cs, rflags, rsp, ss;
};

/* Build the IDT; `tables` is the root of the monitor's page tables. Boot CPU, in core_init. */
void host_init(pa_t tables);

/* Build a CPU's GDT, TSS and stacks. -ENOMEM. Boot CPU, in core_init. */
int host_init_cpu(struct cpu *c);

/*
 * Make this CPU run in the monitor's environment; the trampoline has set CR3 and EFER.NXE already.
 * On that CPU, interrupts off.
 */
void host_load(struct cpu *c);

/* The root of the page tables, below 4 GiB. */
u64 host_root(void);

/* This CPU's DebugCtl, which the guest and the monitor share. Functions, so that tests can have
 * one. */
u64 host_debugctl(void);
void host_set_debugctl(u64 value);

/* trap.c */
void trap_init(void);
extern struct descriptor_table host_idt;

/*
 * isr.S: read or write an MSR, or set XCR0, with a number or value from the guest: 0, or -EIO for
 * #GP. Any CPU on the monitor's tables. No other instruction of the monitor may fault with what the
 * guest has chosen.
 */
int rdmsr_safe(u32 msr, u64 *value);
int wrmsr_safe(u32 msr, u64 value);
int xsetbv_safe(u32 index, u64 value); /* with CR4.OSXSAVE set */

/* Reset the machine. Any CPU. */
_Noreturn void machine_reset(void);
#endif

#endif
