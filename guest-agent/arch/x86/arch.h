/* SPDX-License-Identifier: GPL-2.0-only */
/* What the agent must know of x86: the hypercall, and where the CPUs' stacks are. */
#ifndef SUTURE_AGENT_ARCH_H
#define SUTURE_AGENT_ARCH_H

#include <linux/errno.h>
#include <linux/percpu.h>
#include <linux/pgtable.h>
#include <asm/asm.h>
#include <asm/cpu_entry_area.h>
#include <asm/processor-flags.h>
#include <asm/special_insns.h>
#include <suture/abi.h>
#include "compat.h"

#define ARCH_TOP_PGTABLE "init_top_pgt"

/*
 * One hypercall; insn is what the monitor's ACPI table says. Where the instruction is undefined, we
 * go on behind it with the call's number still in RAX: there is no monitor (any more).
 */
static inline long arch_hypercall(u32 insn, unsigned long nr, unsigned long a0, unsigned long a1)
{
	unsigned long result = nr;

	switch (insn) {
	case SUTURE_INSN_VMMCALL:
		asm volatile("1: vmmcall\n2:\n" _ASM_EXTABLE(1b, 2b)
			     : "+a"(result)
			     : "b"(a0), "c"(a1), "d"(0ul), "S"(0ul)
			     : "memory");
		break;
	case SUTURE_INSN_VMCALL:
		asm volatile("1: vmcall\n2:\n" _ASM_EXTABLE(1b, 2b)
			     : "+a"(result)
			     : "b"(a0), "c"(a1), "d"(0ul), "S"(0ul)
			     : "memory");
		break;
	default:
		return -ENODEV;
	}
	return result == nr ? -ENODEV : (long)result;
}

static inline u32 arch_page_levels(void)
{
	return __read_cr4() & X86_CR4_LA57 ? 5 : 4;
}

#define ARCH_CALL_SIZE 5 /* of a static call */

/* Bytes of the static key at that address. text_mutex is held: nobody is changing it. */
static inline unsigned int arch_key_size(unsigned long address)
{
	const u8 *code = (const u8 *)address;

	return code[0] == 0xeb || (code[0] == 0x66 && code[1] == 0x90) ? 2 : 5;
}

/* The stacks of a CPU. Returns the name of a symbol that is missing, or NULL. */
static inline const char *arch_layout(struct suture_layout *l)
{
	l->pcpu_irq_stack = compat_pcpu_irq_stack();
	if (!l->pcpu_irq_stack)
		return "hardirq_stack_ptr";
	/* points at the top, or at the last word below it (from 5.12 on) */
	l->irq_stack_offset = -(s32)IRQ_STACK_SIZE;
	l->irq_stack_size = IRQ_STACK_SIZE;

	l->pcpu_exc_stacks = compat_symbol("cea_exception_stacks");
	if (!l->pcpu_exc_stacks)
		return "cea_exception_stacks";
	l->exc_stacks_size = sizeof(struct cea_exception_stacks);

	/* the exception stacks lie in the CPU's entry area, above the entry stack */
	l->pcpu_entry_stack = l->pcpu_exc_stacks;
	l->entry_stack_offset = (s32)(offsetof(struct cpu_entry_area, entry_stack_page.stack) -
				      offsetof(struct cpu_entry_area, estacks));
	l->entry_stack_size = sizeof(struct entry_stack);

	l->task_pc = SUTURE_NONE;
	l->task_sp = offsetof(struct task_struct, thread.sp);
	return NULL;
}

#endif
