/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ways into EL2 and out of it: from the firmware, from PSCI, to the guest and back (Arm ARM DDI 0487,
 * D1.3).
 */
#include "el2.h"

/*
 * int arch_take_over(struct boot_info *bi): saves what the calling convention keeps, so that the
 * guest can be entered as if the call had returned. On failure the call does return.
 */
	.section .text.arch_take_over, "ax"
	.globl	arch_take_over
	.hidden	arch_take_over
arch_take_over:
	stp	x29, x30, [sp, #-NATIVE_FRAME_SIZE]!
	stp	x18, x19, [sp, #16]
	stp	x20, x21, [sp, #32]
	stp	x22, x23, [sp, #48]
	stp	x24, x25, [sp, #64]
	stp	x26, x27, [sp, #80]
	mrs	x1, daif
	stp	x28, x1, [sp, #96]
	mov	x29, sp
	msr	daifset, #15
	mov	x1, sp
	bl	take_over
	ldp	x28, x1, [sp, #96]
	msr	daif, x1
	ldp	x18, x19, [sp, #16]
	ldp	x20, x21, [sp, #32]
	ldp	x22, x23, [sp, #48]
	ldp	x24, x25, [sp, #64]
	ldp	x26, x27, [sp, #80]
	ldp	x29, x30, [sp], #NATIVE_FRAME_SIZE
	ret

/*
 * The registers of struct el2_config, with the MMU off in between: no table of the firmware's and of the
 * monitor's is mixed, and HCR_EL2.E2H, which gives other registers another form, changes with nothing
 * translated. Uses x0 to x7; keeps to registers from the moment the MMU is off. All addresses are
 * physical ones, before and after.
 */
	.section .text.el2_mmu, "ax"
	.globl	el2_mmu
	.hidden	el2_mmu
el2_mmu:
	adrp	x0, el2_config
	add	x0, x0, :lo12:el2_config
	ldp	x1, x2, [x0]
	ldp	x3, x4, [x0, #16]
	ldp	x5, x6, [x0, #32]
	mrs	x7, sctlr_el2
	bic	x7, x7, #1		/* M */
	bic	x7, x7, #4		/* C */
	dsb	sy
	msr	sctlr_el2, x7
	isb
	msr	hcr_el2, x5
	isb
	/* what extends TCR_EL2 may have any value on a CPU that comes up */
	mrs	x7, S3_0_C0_C7_3	/* ID_AA64MMFR3_EL1: TCRX */
	tst	x7, #0xf
	b.eq	1f
	msr	S3_4_C2_C0_3, xzr	/* TCR2_EL2 */
1:	msr	mair_el2, x1
	msr	tcr_el2, x2
	msr	ttbr0_el2, x3
	msr	vbar_el2, x6
	isb
	tlbi	alle2
	ic	iallu
	dsb	nsh
	isb
	msr	sctlr_el2, x4
	isb
	ret

/* _Noreturn void el2_enter(struct arch_cpu *a, void (*f)(struct cpu *c)) */
	.section .text.el2_enter, "ax"
	.globl	el2_enter
	.hidden	el2_enter
el2_enter:
	mov	x19, x0
	mov	x20, x1
	bl	el2_mmu
	b	on_own_stack

/* x0: struct arch_cpu. MMU and caches off, interrupts off (DEN0022, 6.4.3). */
	.section .text.cpu_entry, "ax"
	.globl	cpu_entry
	.hidden	cpu_entry
cpu_entry:
	msr	daifset, #15
	mov	x19, x0
	adrp	x20, cpu_main
	add	x20, x20, :lo12:cpu_main
	bl	el2_mmu

/* x19: struct arch_cpu, x20: where to go on */
on_own_stack:
	msr	spsel, #1
	ldr	x1, [x19, #ARCH_CPU_STACK]
	mov	sp, x1
	msr	tpidr_el2, x19
	ldr	x0, [x19]
	mov	x29, xzr
	mov	x30, xzr
	br	x20

/* enum exit_vector vcpu_enter(struct arch_cpu *a) */
	.section .text.vcpu_enter, "ax"
	.globl	vcpu_enter
	.hidden	vcpu_enter
vcpu_enter:
	stp	x29, x30, [sp, #-96]!
	stp	x19, x20, [sp, #16]
	stp	x21, x22, [sp, #32]
	stp	x23, x24, [sp, #48]
	stp	x25, x26, [sp, #64]
	stp	x27, x28, [sp, #80]
	ldp	x1, x2, [x0, #ARCH_CPU_ELR]
	msr	elr_el2, x1
	msr	spsr_el2, x2
	add	x0, x0, #ARCH_CPU_X
	ldp	x2, x3, [x0, #8 * 2]
	ldp	x4, x5, [x0, #8 * 4]
	ldp	x6, x7, [x0, #8 * 6]
	ldp	x8, x9, [x0, #8 * 8]
	ldp	x10, x11, [x0, #8 * 10]
	ldp	x12, x13, [x0, #8 * 12]
	ldp	x14, x15, [x0, #8 * 14]
	ldp	x16, x17, [x0, #8 * 16]
	ldp	x18, x19, [x0, #8 * 18]
	ldp	x20, x21, [x0, #8 * 20]
	ldp	x22, x23, [x0, #8 * 22]
	ldp	x24, x25, [x0, #8 * 24]
	ldp	x26, x27, [x0, #8 * 26]
	ldp	x28, x29, [x0, #8 * 28]
	ldr	x30, [x0, #8 * 30]
	ldp	x0, x1, [x0]
	eret
	/* nothing behind it is to be executed in advance */
	dsb	nsh
	isb

/* The rest of an exit: x0 and x1 are on the stack, and x1 is the vector. */
leave_guest:
	mrs	x0, tpidr_el2
	add	x0, x0, #ARCH_CPU_X
	stp	x2, x3, [x0, #8 * 2]
	ldp	x2, x3, [sp], #16
	stp	x2, x3, [x0]
	stp	x4, x5, [x0, #8 * 4]
	stp	x6, x7, [x0, #8 * 6]
	stp	x8, x9, [x0, #8 * 8]
	stp	x10, x11, [x0, #8 * 10]
	stp	x12, x13, [x0, #8 * 12]
	stp	x14, x15, [x0, #8 * 14]
	stp	x16, x17, [x0, #8 * 16]
	stp	x18, x19, [x0, #8 * 18]
	stp	x20, x21, [x0, #8 * 20]
	stp	x22, x23, [x0, #8 * 22]
	stp	x24, x25, [x0, #8 * 24]
	stp	x26, x27, [x0, #8 * 26]
	stp	x28, x29, [x0, #8 * 28]
	str	x30, [x0, #8 * 30]
	sub	x0, x0, #ARCH_CPU_X
	mrs	x2, elr_el2
	mrs	x3, spsr_el2
	stp	x2, x3, [x0, #ARCH_CPU_ELR]
	mrs	x2, esr_el2
	mrs	x3, far_el2
	stp	x2, x3, [x0, #ARCH_CPU_ESR]
	mrs	x2, hpfar_el2
	mrs	x3, sp_el0
	stp	x2, x3, [x0, #ARCH_CPU_HPFAR]
	mrs	x2, sp_el1
	mrs	x3, tpidr_el1
	stp	x2, x3, [x0, #ARCH_CPU_SP_EL0 + 8]
	mrs	x2, elr_el1
	mrs	x3, vbar_el1
	stp	x2, x3, [x0, #ARCH_CPU_TPIDR + 8]
	mov	x0, x1
	ldp	x19, x20, [sp, #16]
	ldp	x21, x22, [sp, #32]
	ldp	x23, x24, [sp, #48]
	ldp	x25, x26, [sp, #64]
	ldp	x27, x28, [sp, #80]
	ldp	x29, x30, [sp], #96
	ret

/* void smc_forward(u64 x[18]) */
	.section .text.smc_forward, "ax"
	.globl	smc_forward
	.hidden	smc_forward
smc_forward:
	stp	x29, x30, [sp, #-32]!
	str	x0, [sp, #16]
	mov	x30, x0
	ldp	x0, x1, [x30]
	ldp	x2, x3, [x30, #16]
	ldp	x4, x5, [x30, #32]
	ldp	x6, x7, [x30, #48]
	ldp	x8, x9, [x30, #64]
	ldp	x10, x11, [x30, #80]
	ldp	x12, x13, [x30, #96]
	ldp	x14, x15, [x30, #112]
	ldp	x16, x17, [x30, #128]
	smc	#0
	ldr	x30, [sp, #16]
	stp	x0, x1, [x30]
	stp	x2, x3, [x30, #16]
	stp	x4, x5, [x30, #32]
	stp	x6, x7, [x30, #48]
	stp	x8, x9, [x30, #64]
	stp	x10, x11, [x30, #80]
	stp	x12, x13, [x30, #96]
	stp	x14, x15, [x30, #112]
	stp	x16, x17, [x30, #128]
	ldp	x29, x30, [sp], #32
	ret

/* ---- the vectors (D1.3.1.3) ---- */

/* An exception of the monitor's own: trap_handle(registers, vector) may return. */
.macro own vector
	.balign	0x80
	sub	sp, sp, #288
	stp	x0, x1, [sp]
	mov	x1, #\vector
	b	own_exception
.endm

.macro guest vector
	.balign	0x80
	stp	x0, x1, [sp, #-16]!
	mov	x1, #\vector
	b	leave_guest
.endm

	.section .text.vcpu_enter, "ax"
	.balign	0x800
	.globl	el2_vectors
	.hidden	el2_vectors
el2_vectors:
	/* with SP_EL0, which the monitor does not use: its stack pointer is the guest's then */
	own	0
	own	1
	own	2
	own	3
	own	4
	own	5
	own	6
	own	7
	/* AArch64, then AArch32 */
	guest	0
	guest	1
	guest	2
	guest	3
	guest	0
	guest	1
	guest	2
	guest	3

own_exception:
	stp	x2, x3, [sp, #8 * 2]
	stp	x4, x5, [sp, #8 * 4]
	stp	x6, x7, [sp, #8 * 6]
	stp	x8, x9, [sp, #8 * 8]
	stp	x10, x11, [sp, #8 * 10]
	stp	x12, x13, [sp, #8 * 12]
	stp	x14, x15, [sp, #8 * 14]
	stp	x16, x17, [sp, #8 * 16]
	stp	x18, x19, [sp, #8 * 18]
	stp	x20, x21, [sp, #8 * 20]
	stp	x22, x23, [sp, #8 * 22]
	stp	x24, x25, [sp, #8 * 24]
	stp	x26, x27, [sp, #8 * 26]
	stp	x28, x29, [sp, #8 * 28]
	mrs	x2, elr_el2
	stp	x30, x2, [sp, #8 * 30]
	mrs	x2, spsr_el2
	mrs	x3, esr_el2
	stp	x2, x3, [sp, #8 * 32]
	mrs	x2, far_el2
	str	x2, [sp, #8 * 34]
	mov	x0, sp
	bl	trap_handle
	ldp	x30, x2, [sp, #8 * 30]
	msr	elr_el2, x2
	ldr	x2, [sp, #8 * 32]
	msr	spsr_el2, x2
	ldp	x2, x3, [sp, #8 * 2]
	ldp	x4, x5, [sp, #8 * 4]
	ldp	x6, x7, [sp, #8 * 6]
	ldp	x8, x9, [sp, #8 * 8]
	ldp	x10, x11, [sp, #8 * 10]
	ldp	x12, x13, [sp, #8 * 12]
	ldp	x14, x15, [sp, #8 * 14]
	ldp	x16, x17, [sp, #8 * 16]
	ldp	x18, x19, [sp, #8 * 18]
	ldp	x20, x21, [sp, #8 * 20]
	ldp	x22, x23, [sp, #8 * 22]
	ldp	x24, x25, [sp, #8 * 24]
	ldp	x26, x27, [sp, #8 * 26]
	ldp	x28, x29, [sp, #8 * 28]
	ldp	x0, x1, [sp]
	add	sp, sp, #288
	eret

	.section .note.GNU-stack, "", @progbits
