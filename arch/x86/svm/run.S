/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The switch between monitor and guest (AMD APM vol. 2, 15.5). VMRUN switches part of the state;
 * VMLOAD and VMSAVE switch FS, GS, TR, LDTR and the system call MSRs; this code switches the
 * general registers.
 */
	.section .text.svm_run, "ax"

/* enum gpr of hv.h */
#define GPR(n) (8 * n)
#define RCX 1
#define RDX 2
#define RBX 3
#define RBP 5
#define RSI 6
#define RDI 7

#define MSR_PRED_CMD 0x49
#define IBPB	     1

/* void svm_run(u64 *gprs, u64 guest_pa, u64 host_pa, bool barrier): RAX and RSP are in the VMCB */
	.globl	svm_run
	.hidden	svm_run
svm_run:
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	push	%rcx
	push	%rdx
	push	%rdi
	mov	%rsi, %rax
	/* From here on GS is the guest's: no NMI may come before VMRUN sets GIF. */
	clgi
	vmload	%rax
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
	vmrun	%rax
	vmsave	%rax
	mov	8(%rsp), %rax
	vmload	%rax
	mov	(%rsp), %rax
	mov	%rcx, GPR(RCX)(%rax)
	mov	%rdx, GPR(RDX)(%rax)
	mov	%rbx, GPR(RBX)(%rax)
	mov	%rbp, GPR(RBP)(%rax)
	mov	%rsi, GPR(RSI)(%rax)
	mov	%rdi, GPR(RDI)(%rax)
	mov	%r8, GPR(8)(%rax)
	mov	%r9, GPR(9)(%rax)
	mov	%r10, GPR(10)(%rax)
	mov	%r11, GPR(11)(%rax)
	mov	%r12, GPR(12)(%rax)
	mov	%r13, GPR(13)(%rax)
	mov	%r14, GPR(14)(%rax)
	mov	%r15, GPR(15)(%rax)
	/* Nothing that the guest has trained is predicted, on processors that may take any instruction
	   for a branch. The LFENCE below ends speculation past this test, before the first return. */
	cmpb	$0, 16(%rsp)
	je	2f
	mov	$MSR_PRED_CMD, %ecx
	mov	$IBPB, %eax
	xor	%edx, %edx
	wrmsr
2:
	/* No return follows the guest's calls: each of the 32 entries of the return predictor leads to
	   a stop (AMD, "Software techniques for managing speculation on AMD processors"). */
	.rept	32
	call	1f
	int3
1:
	.endr
	add	$(32 * 8), %rsp
	lfence
	/* nor does speculation find the guest's values in registers that C does not expect here */
	xor	%ecx, %ecx
	xor	%esi, %esi
	xor	%r8d, %r8d
	xor	%r9d, %r9d
	xor	%r10d, %r10d
	xor	%r11d, %r11d
	pop	%rdi
	pop	%rdx
	pop	%rcx
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	cld
	ret

/* void svm_open_window(void): an NMI that caused a VM exit stays pending until the monitor's handler
   takes it here (15.17; two instructions, since QEMU delivers it late). */
	.globl	svm_open_window
	.hidden	svm_open_window
svm_open_window:
	stgi
	nop
	nop
	clgi
	ret

	.section .note.GNU-stack, "", @progbits
