/* SPDX-License-Identifier: BSD-2-Clause */
/* Entry points of all vectors, and the instructions whose faults are handled. */
#include "host.h"

	.section .text.isr, "ax"

/* Each stub is 16 bytes long; trap_init() relies on it. */
	.balign 16
	.hidden isr_stubs
	.globl isr_stubs
isr_stubs:
	.set vector, 0
	.rept 256
	.balign 16
	push	$vector
	jmp	isr_common
	.set vector, vector + 1
	.endr

/*
 * The vector does not tell whether there is an error code: an interrupt with the vector of an exception
 * pushes none. The stack pointer does: the CPU aligns it to 16 before it pushes five words, or six (APM
 * vol. 2, 8.9.3). Where there is none a zero takes its place, so that struct trap_frame is always the
 * same.
 */
isr_common:
	testb	$8, %spl
	jnz	1f
	push	(%rsp)
	movq	$0, 8(%rsp)
1:
	cld
	push	%rax
	push	%rbx
	push	%rcx
	push	%rdx
	push	%rsi
	push	%rdi
	push	%rbp
	push	%r8
	push	%r9
	push	%r10
	push	%r11
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	mov	%rsp, %rdi
	call	trap_handle
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%r11
	pop	%r10
	pop	%r9
	pop	%r8
	pop	%rbp
	pop	%rdi
	pop	%rsi
	pop	%rdx
	pop	%rcx
	pop	%rbx
	pop	%rax
	add	$16, %rsp
	iretq

/* An instruction whose #GP is handled: its function returns -EIO then. trap.c reads the table. */
	.macro	may_fail insn:vararg
9:	\insn
	.pushsection .fixups, "a"
	.long	9b - .
	.popsection
	.endm

/* int rdmsr_safe(u32 msr, u64 *value) */
	.globl	rdmsr_safe
	.hidden	rdmsr_safe
rdmsr_safe:
	mov	%edi, %ecx
	may_fail rdmsr
	shl	$32, %rdx
	or	%rdx, %rax
	mov	%rax, (%rsi)
	xor	%eax, %eax
	ret

/* int wrmsr_safe(u32 msr, u64 value) */
	.globl	wrmsr_safe
	.hidden	wrmsr_safe
wrmsr_safe:
	mov	%edi, %ecx
	mov	%esi, %eax
	mov	%rsi, %rdx
	shr	$32, %rdx
	may_fail wrmsr
	xor	%eax, %eax
	ret

/* int xsetbv_safe(u32 index, u64 value) */
	.globl	xsetbv_safe
	.hidden	xsetbv_safe
xsetbv_safe:
	mov	%edi, %ecx
	mov	%esi, %eax
	mov	%rsi, %rdx
	shr	$32, %rdx
	may_fail xsetbv
	xor	%eax, %eax
	ret

	.globl	insn_failed
	.hidden	insn_failed
insn_failed:
	mov	$-5, %eax	/* -EIO */
	ret

/* void idle_halt(void): enable interrupts and halt. After an interrupt or NMI between STI and HLT,
   which may have been the wake-up, the HLT is skipped: see trap_handle(). */
	.globl idle_halt, idle_halt_insn
	.hidden idle_halt, idle_halt_insn
idle_halt:
	sti
idle_halt_insn:
	hlt
	cli
	ret

	.section .note.GNU-stack, "", @progbits
