/* SPDX-License-Identifier: BSD-2-Clause */
/* Entry points of all vectors, and the two instructions whose faults are handled. */
#include "host.h"

	.section .text.isr, "ax"

/* Each stub is 16 bytes long; trap_init() relies on it. Where the CPU pushes no error code the stub
   pushes zero, so that struct trap_frame is always the same (APM vol. 2, 8.2). */
	.balign 16
	.hidden isr_stubs
	.globl isr_stubs
isr_stubs:
	.set vector, 0
	.rept 256
	.balign 16
	.if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || \
		vector == 29 || vector == 30)
	push	$0
	.endif
	push	$vector
	jmp	isr_common
	.set vector, vector + 1
	.endr

isr_common:
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

/* int rdmsr_safe(u32 msr, u64 *value) */
	.globl rdmsr_safe, rdmsr_safe_insn
	.hidden rdmsr_safe, rdmsr_safe_insn
rdmsr_safe:
	mov	%edi, %ecx
rdmsr_safe_insn:
	rdmsr
	shl	$32, %rdx
	or	%rdx, %rax
	mov	%rax, (%rsi)
	xor	%eax, %eax
	ret

/* int wrmsr_safe(u32 msr, u64 value) */
	.globl wrmsr_safe, wrmsr_safe_insn
	.hidden wrmsr_safe, wrmsr_safe_insn
wrmsr_safe:
	mov	%edi, %ecx
	mov	%esi, %eax
	mov	%rsi, %rdx
	shr	$32, %rdx
wrmsr_safe_insn:
	wrmsr
	xor	%eax, %eax
	ret

	.globl msr_failed
	.hidden msr_failed
msr_failed:
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
