/* SPDX-License-Identifier: GPL-2.0-only */
/* What the agent must know of arm64: the hypercall, and where the CPUs' stacks are. */
#ifndef SUTURE_AGENT_ARCH_H
#define SUTURE_AGENT_ARCH_H

#include <linux/errno.h>
#include <linux/percpu.h>
#include <linux/pgtable.h>
#include <linux/sched.h>
#include <asm/memory.h>
#include <suture/abi.h>
#include "compat.h"

#define ARCH_TOP_PGTABLE "swapper_pg_dir"

/* One hypercall. No exception table covers it: the ACPI table vouches for the monitor. */
static inline long arch_hypercall(u32 insn, unsigned long nr, unsigned long a0, unsigned long a1)
{
	register unsigned long x0 asm("x0") = nr;
	register unsigned long x1 asm("x1") = a0;
	register unsigned long x2 asm("x2") = a1;
	register unsigned long x3 asm("x3") = 0;
	register unsigned long x4 asm("x4") = 0;

	if (insn != SUTURE_INSN_HVC)
		return -ENODEV;
	asm volatile("hvc #0" : "+r"(x0) : "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
	return (long)x0;
}

static inline u32 arch_page_levels(void)
{
	return CONFIG_PGTABLE_LEVELS;
}

#define ARCH_CALL_SIZE 4 /* of a static call */

/* Bytes of the static key at that address. */
static inline unsigned int arch_key_size(unsigned long address)
{
	return 4;
}

/* The stacks of a CPU. Returns the name of a symbol that is missing, or NULL. */
static inline const char *arch_layout(struct suture_layout *l)
{
	l->pcpu_irq_stack = compat_symbol("irq_stack_ptr");
	if (!l->pcpu_irq_stack)
		return "irq_stack_ptr";
	l->irq_stack_offset = 0;
	l->irq_stack_size = IRQ_STACK_SIZE;
	l->task_pc = offsetof(struct task_struct, thread.cpu_context.pc);
	l->task_sp = offsetof(struct task_struct, thread.cpu_context.sp);
	return NULL;
}

#define ARCH_INSN_ALIGN 4

/* Where the B or BL leads that stands there; 0: there is none. `left`: bytes of text from there. */
static inline unsigned long arch_direct_target(const u8 *at, unsigned long left)
{
	u32 insn = *(const u32 *)at;

	if (left < sizeof(insn) || (insn & 0x7c000000) != 0x14000000)
		return 0;
	return (unsigned long)at + ((s64)((u64)insn << 38) >> 36);
}

#endif
