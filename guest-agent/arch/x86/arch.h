/* SPDX-License-Identifier: GPL-2.0-only */
/* What the agent must know of x86: the hypercall, and where the CPUs' stacks are. */
#ifndef SUTURE_AGENT_ARCH_H
#define SUTURE_AGENT_ARCH_H

#include <linux/errno.h>
#include <linux/percpu.h>
#include <linux/pgtable.h>
#include <linux/smp.h>
#include <linux/string.h>
#include <asm/asm.h>
#include <asm/cpu_entry_area.h>
#include <asm/elf.h>
#include <asm/processor-flags.h>
#include <asm/special_insns.h>
#include <asm/sync_core.h>
#include <suture/abi.h>
#include "compat.h"

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

/* The physical address of the kernel's own top page table; returns as arch_layout(). */
static inline const char *arch_kernel_pgd(u64 *pgd)
{
	unsigned long top = compat_symbol("init_top_pgt");

	*pgd = top ? __pa_symbol(top) : 0;
	return top ? NULL : "init_top_pgt";
}

static inline u32 arch_page_levels(void)
{
	return __read_cr4() & X86_CR4_LA57 ? 5 : 4;
}

/* where the text of modules may lie */
#define ARCH_MODULES_START MODULES_VADDR
#define ARCH_MODULES_END   MODULES_END

#define ARCH_CALL_SIZE 5 /* of a static call */

/* Bytes of the static key at that address. text_mutex is held: nobody is changing it. */
static inline unsigned int arch_key_size(unsigned long address)
{
	const u8 *code = (const u8 *)address;

	return code[0] == 0xeb || (code[0] == 0x66 && code[1] == 0x90) ? 2 : 5;
}

/* Every kernel for x86 that the agent knows lists its variables. */
static inline unsigned long arch_next_address(unsigned long *code, unsigned long end_of_code)
{
	return 0;
}

/* A CPU's running task and stacks. Returns the name of a symbol that is missing, or NULL. */
static inline const char *arch_layout(struct suture_layout *l)
{
	l->pcpu_current = compat_pcpu_current();
	if (!l->pcpu_current)
		return "current_task";
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

/* True if the kernel has mapped that address without the right to write. */
static inline bool arch_is_read_only(unsigned long address)
{
	unsigned int level;
	const pte_t *pte = lookup_address(address, &level);

	return pte && pte_present(*pte) && !pte_write(*pte);
}

/*
 * The bytes that a relocation of that type puts at `place`, where `value` is symbol plus addend
 * (x86 psABI, "Relocation"); `bytes` has what stands there. How many, at most 8; -ENOEXEC: the type
 * is not known; -ERANGE: it does not reach.
 */
static inline int arch_relocate(u32 type, unsigned long place, unsigned long value, u8 *bytes)
{
	bool relative = type == R_X86_64_PC32 || type == R_X86_64_PLT32 || type == R_X86_64_PC64;
	s64 v = relative ? value - place : value;

	memcpy(bytes, &v, sizeof(v));
	switch (type) {
	case R_X86_64_64:
	case R_X86_64_PC64:
		return 8;
	case R_X86_64_32:
		return v == (u32)v ? 4 : -ERANGE;
	case R_X86_64_32S:
	case R_X86_64_PC32:
	case R_X86_64_PLT32:
		return v == (s32)v ? 4 : -ERANGE;
	}
	return -ENOEXEC;
}

/* Kernel and modules lie within reach of a branch: none needs a veneer. */
#define ARCH_VENEER_SIZE 0

static inline bool arch_takes_veneer(u32 type)
{
	return false;
}

static inline int arch_make_veneer(unsigned long place, unsigned long value, u8 *bytes)
{
	return -ERANGE;
}

static inline bool arch_rewrites_pages(void)
{
	return false;
}

#define ARCH_INSN_ALIGN 1

/*
 * Where the direct call or jump leads that may begin at that byte (call, jmp and jcc with 32 bits
 * of displacement); 0: there is none. Not every byte that looks so begins an instruction. `left`:
 * bytes of text from there.
 */
static inline unsigned long arch_direct_target(const u8 *at, unsigned long left)
{
	unsigned int len = (at[0] & 0xfe) == 0xe8 ? 1 : at[0] == 0x0f ? 2 : 0;
	s32 displacement;

	if (!len || left < len + sizeof(displacement) || (len == 2 && (at[1] & 0xf0) != 0x80))
		return 0;
	memcpy(&displacement, at + len, sizeof(displacement));
	return (unsigned long)at + len + sizeof(displacement) + displacement;
}

/* No instruction of x86 is moved out of its function. */
static inline unsigned long arch_next_veneer(unsigned long *at, unsigned long end,
					     unsigned long text, unsigned long text_end,
					     unsigned long *size)
{
	return 0;
}

/* Code was written there through another mapping: caches of instructions see that. */
static inline void arch_flush_code(unsigned long place, unsigned long len)
{
}

static inline void arch_serialize(void *unused)
{
	sync_core();
}

/* No CPU runs old bytes of code that was written before (SDM, "Cross-Modifying Code"). */
static inline void arch_sync_code(void)
{
	on_each_cpu(arch_serialize, NULL, 1);
}

#endif
