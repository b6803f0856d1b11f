/* SPDX-License-Identifier: GPL-2.0-only */
/* What the agent must know of arm64: the hypercall, and where the CPUs' stacks are. */
#ifndef SUTURE_AGENT_ARCH_H
#define SUTURE_AGENT_ARCH_H

#include <linux/elf.h>
#include <linux/errno.h>
#include <linux/irqflags.h>
#include <linux/percpu.h>
#include <linux/pgtable.h>
#include <linux/sched.h>
#include <linux/scs.h>
#include <linux/smp.h>
#include <linux/string.h>
#include <asm/barrier.h>
#include <asm/cacheflush.h>
#include <asm/cpufeature.h>
#include <asm/memory.h>
#include <asm/sysreg.h>
#include <asm/virt.h>
#include <suture/abi.h>
#include "branch.h"
#include "compat.h"
#include "relocate.h"

/*
 * One hypercall. No exception table covers it: the ACPI table vouches for the monitor. A kernel
 * that has EL2 itself has no monitor below it: there, HVC would be for the kernel's own vectors.
 */
static inline long arch_hypercall(u32 insn, unsigned long nr, unsigned long a0, unsigned long a1)
{
	register unsigned long x0 asm("x0") = nr;
	register unsigned long x1 asm("x1") = a0;
	register unsigned long x2 asm("x2") = a1;
	register unsigned long x3 asm("x3") = 0;
	register unsigned long x4 asm("x4") = 0;

	if (insn != SUTURE_INSN_HVC || is_kernel_in_hyp_mode())
		return -ENODEV;
	asm volatile("hvc #0" : "+r"(x0) : "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
	return x0 == HVC_STUB_ERR ? -ENODEV : (long)x0;
}

/*
 * The physical address of the kernel's own top page table (Arm ARM, TTBR1_EL1); returns as
 * arch_layout(). Bits 5 to 2 are bits 51 to 48 of it.
 */
static inline const char *arch_kernel_pgd(u64 *pgd)
{
	u64 ttbr = read_sysreg(ttbr1_el1);

	*pgd = (ttbr & GENMASK_ULL(47, 6)) | (ttbr & GENMASK_ULL(5, 2)) << 46;
	return NULL;
}

/* The CPU may have fewer than the kernel was built for (Arm ARM, TCR_EL1.T1SZ). */
static inline u32 arch_page_levels(void)
{
	u32 bits = 64 - (read_sysreg(tcr_el1) >> 16 & 63);

	return DIV_ROUND_UP(bits - PAGE_SHIFT, PAGE_SHIFT - 3);
}

/*
 * The next address that the function forms: ADRP, then ADD of the rest, or LDR from the global
 * offset table. 0: none. *code follows that ADRP then.
 */
static inline unsigned long arch_next_address(unsigned long *code, unsigned long end_of_code)
{
	const u32 *insn = (const u32 *)*code, *end = (const u32 *)end_of_code;
	unsigned long page;
	u32 reg;

	while (insn < end && (*insn & 0x9f000000) != 0x90000000)
		insn++;
	*code = (unsigned long)(insn + 1);
	if (insn >= end)
		return 0;
	reg = *insn & 31;
	page = ((unsigned long)insn & ~0xffful) +
	       (((s64)((u64)*insn << 40) >> 45 << 2 | (*insn >> 29 & 3)) << 12);
	while (++insn < end) {
		u32 imm = *insn >> 10 & 0xfff;

		if ((*insn >> 5 & 31) != reg)
			continue;
		if ((*insn & 0xffc00000) == 0x91000000)
			return page + imm;
		if ((*insn & 0xffc00000) == 0xf9400000)
			return *(const unsigned long *)(page + imm * 8);
	}
	return 0;
}

/*
 * Where the text of modules may lie: within 2 GiB of the kernel's, which KASLR places anywhere in
 * the range of vmalloc. Linux has no narrower bounds that hold (arch/arm64/kernel/kaslr.c,
 * module.c).
 */
#define ARCH_MODULES_START MODULES_VADDR
#define ARCH_MODULES_END   VMALLOC_END

#define ARCH_CALL_SIZE 4 /* of a static call */

/* Bytes of the static key at that address. */
static inline unsigned int arch_key_size(unsigned long address)
{
	return 4;
}

/* As arch_layout(). The kernel may have them and not use them (6.2 and later): they are NULL. */
static inline const char *arch_shadow_stacks(struct suture_layout *l)
{
#ifdef CONFIG_SHADOW_CALL_STACK
	l->pcpu_irq_scs = compat_symbol("irq_shadow_call_stack_ptr");
	if (!l->pcpu_irq_scs)
		return "irq_shadow_call_stack_ptr";
	l->task_scs_base = offsetof(struct task_struct, thread_info.scs_base);
	l->task_scs_sp = offsetof(struct task_struct, thread_info.scs_sp);
	l->scs_size = SCS_SIZE;
#endif
	return NULL;
}

/* Returns false if this kernel has it and does not tell where. */
static inline bool arch_add_trampoline(struct suture_layout *l, bool has, const char *name)
{
	u64 start = has ? compat_symbol(name) : 0, size = start ? compat_symbol_size(start) : 0;

	if (size)
		l->trampolines[l->nr_trampolines++] = (struct suture_code){start, start + size};
	return !has || size;
}

/*
 * A stack's last record is in struct pt_regs (arch/arm64/kernel/entry.S), in 6.1 and 6.12 in a
 * member of the same name.
 */
static inline void arch_frame_records(struct suture_layout *l)
{
	bool has_rethook = IS_ENABLED(CONFIG_RETHOOK);

	l->entry.start = compat_symbol("__entry_text_start");
	l->entry.end = compat_symbol("__entry_text_end");
	if (l->entry.start && l->entry.end &&
	    arch_add_trampoline(l, IS_ENABLED(CONFIG_FUNCTION_GRAPH_TRACER), "return_to_handler") &&
	    arch_add_trampoline(l, has_rethook, "arch_rethook_trampoline") &&
	    arch_add_trampoline(l, IS_ENABLED(CONFIG_KRETPROBES) && !has_rethook,
				"__kretprobe_trampoline")) {
		l->final_record = sizeof(struct pt_regs) - offsetof(struct pt_regs, stackframe);
		return;
	}
	pr_warn("this kernel does not tell where its entry code and its trampolines are: stale "
		"words on stacks keep a patch waiting\n");
	l->entry = (struct suture_code){};
}

/* A CPU's running task and stacks. Returns the name of a symbol that is missing, or NULL. */
static inline const char *arch_layout(struct suture_layout *l)
{
	/* for the entry from user mode; written where the stack pointer is switched */
	l->pcpu_current = compat_symbol("__entry_task");
	if (!l->pcpu_current)
		return "__entry_task";
	l->pcpu_irq_stack = compat_symbol("irq_stack_ptr");
	if (!l->pcpu_irq_stack)
		return "irq_stack_ptr";
	l->irq_stack_offset = 0;
	l->irq_stack_size = IRQ_STACK_SIZE;
	l->task_pc = offsetof(struct task_struct, thread.cpu_context.pc);
	l->task_sp = offsetof(struct task_struct, thread.cpu_context.sp);
	l->task_regs = offsetof(struct task_struct, thread.cpu_context.x19);
	l->task_nr_regs = (offsetof(struct cpu_context, fp) - offsetof(struct cpu_context, x19)) /
			  sizeof(u64);
	arch_frame_records(l);
	return arch_shadow_stacks(l);
}

#define ARCH_INSN_ALIGN 4

/* True if the kernel has mapped that address without the right to write. */
static inline bool arch_is_read_only(unsigned long address)
{
	unsigned long flags;
	u64 par;

	/* an exception would change PAR_EL1; PAR_EL1.F: the write would not be translated */
	local_irq_save(flags);
	asm volatile("at s1e1w, %0" : : "r"(address));
	isb();
	par = read_sysreg(par_el1);
	local_irq_restore(flags);
	return par & 1;
}

/*
 * On a Cortex-A53 with erratum 843419 the kernel's loader rewrites some ADRPs: these cannot be
 * applied later.
 */
static inline bool arch_rewrites_pages(void)
{
	return IS_ENABLED(CONFIG_ARM64_ERRATUM_843419) &&
	       cpus_have_final_cap(ARM64_WORKAROUND_843419);
}

/* Code was written there through another mapping: instructions are fetched from what is new. */
static inline void arch_flush_code(unsigned long place, unsigned long len)
{
	caches_clean_inval_pou(place, place + len);
}

static inline void arch_serialize(void *unused)
{
	isb();
}

/*
 * No CPU runs old instructions of code that was flushed before (Arm ARM, "Concurrent modification
 * and execution of instructions"): each needs a context synchronization event.
 */
static inline void arch_sync_code(void)
{
	on_each_cpu(arch_serialize, NULL, 1);
}

#endif
