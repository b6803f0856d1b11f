/* SPDX-License-Identifier: BSD-2-Clause */
/* What both switches between monitor and guest do, for their assembler files. */
#ifndef X86_SWITCH_H
#define X86_SWITCH_H

/* flags of a switch */
#define SWITCH_CLEARS	1 /* VERW before the entry clears buffers of the processor */
#define SWITCH_RESUMES	2 /* VMX: VMRESUME, not VMLAUNCH */
#define SWITCH_BARRIERS 4 /* SVM: IBPB behind the exit */

#ifdef __ASSEMBLY__
#include "host.h"
/* clang-format off */

/* enum gpr of hv.h */
#define GPR(n) (8 * n)
#define RAX    0
#define RCX    1
#define RDX    2
#define RBX    3
#define RBP    5
#define RSI    6
#define RDI    7

/* The registers that C expects to find again. */
	.macro	push_saved
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	.endm

	.macro	pop_saved
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	.endm

/* The guest's registers from the array at RDI: all but RAX and RSP, which are the vendor's. */
	.macro	load_guest
	mov	GPR(RCX)(%rdi), %rcx
	mov	GPR(RDX)(%rdi), %rdx
	mov	GPR(RBX)(%rdi), %rbx
	mov	GPR(RBP)(%rdi), %rbp
	mov	GPR(RSI)(%rdi), %rsi
	mov	GPR(8)(%rdi), %r8
	mov	GPR(9)(%rdi), %r9
	mov	GPR(10)(%rdi), %r10
	mov	GPR(11)(%rdi), %r11
	mov	GPR(12)(%rdi), %r12
	mov	GPR(13)(%rdi), %r13
	mov	GPR(14)(%rdi), %r14
	mov	GPR(15)(%rdi), %r15
	mov	GPR(RDI)(%rdi), %rdi
	.endm

/*
 * The last thing before the entry: what the monitor has loaded and stored is not in buffers that the
 * guest could read by speculation. The operand must be in memory, and a segment that can be written
 * (Intel, "Microarchitectural Data Sampling"; AMD, "Transient Scheduler Attacks"). Changes ZF.
 */
	.macro	clear_buffers
	verw	verw_selector(%rip)
	.endm

	.macro	verw_operand
	.pushsection .rodata
	.balign	2
verw_selector:
	.word	HOST_DS
	.popsection
	.endm

/* And into the array at \array: all but RAX, RSP and that register. */
	.macro	save_guest array
	mov	%rcx, GPR(RCX)(\array)
	mov	%rdx, GPR(RDX)(\array)
	mov	%rbx, GPR(RBX)(\array)
	mov	%rbp, GPR(RBP)(\array)
	mov	%rsi, GPR(RSI)(\array)
	mov	%r8, GPR(8)(\array)
	mov	%r9, GPR(9)(\array)
	mov	%r10, GPR(10)(\array)
	mov	%r11, GPR(11)(\array)
	mov	%r12, GPR(12)(\array)
	mov	%r13, GPR(13)(\array)
	mov	%r14, GPR(14)(\array)
	mov	%r15, GPR(15)(\array)
	.endm

/*
 * No return follows the guest's calls: each of the 32 entries of the return predictor leads to a stop,
 * and the LFENCE stops the first return of processors that ignore that (AMD, "Software techniques for
 * managing speculation on AMD processors"; Intel, "Return Stack Buffer Underflow" and "Post-barrier
 * Return Stack Buffer Predictions"). Nor does speculation find the guest's values in registers that C
 * does not expect here.
 */
	.macro	forget_guest
	.rept	32
	call	771f
	int3
771:
	.endr
	add	$(32 * 8), %rsp
	lfence
	xor	%eax, %eax
	xor	%ecx, %ecx
	xor	%edx, %edx
	xor	%esi, %esi
	xor	%edi, %edi
	xor	%r8d, %r8d
	xor	%r9d, %r9d
	xor	%r10d, %r10d
	xor	%r11d, %r11d
	.endm

#endif
#endif
