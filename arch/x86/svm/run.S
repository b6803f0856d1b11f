/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The switch between monitor and guest (AMD APM vol. 2, 15.5). VMRUN switches part of the state;
 * VMLOAD and VMSAVE switch FS, GS, TR, LDTR and the system call MSRs; this code switches the
 * general registers.
 */
#include "../switch.h"

	.section .text.svm_run, "ax"

#define MSR_PRED_CMD 0x49
#define IBPB	     1

/* void svm_run(u64 *gprs, u64 guest_pa, u64 host_pa, u32 flags): RAX and RSP are in the VMCB */
	.globl	svm_run
	.hidden	svm_run
svm_run:
	push_saved
	push	%rcx
	push	%rdx
	push	%rdi
	mov	%rsi, %rax
	/* From here on GS is the guest's: no NMI may come before VMRUN sets GIF. */
	clgi
	vmload	%rax
	load_guest
	testb	$SWITCH_CLEARS, 16(%rsp)
	jz	1f
	clear_buffers
1:	vmrun	%rax
	vmsave	%rax
	mov	8(%rsp), %rax
	vmload	%rax
	mov	(%rsp), %rax
	save_guest %rax
	mov	%rdi, GPR(RDI)(%rax)
	/* Nothing that the guest has trained is predicted, on processors that may take any instruction
	   for a branch. The LFENCE of forget_guest ends speculation past this test, before the first return. */
	testb	$SWITCH_BARRIERS, 16(%rsp)
	jz	2f
	mov	$MSR_PRED_CMD, %ecx
	mov	$IBPB, %eax
	xor	%edx, %edx
	wrmsr
2:
	forget_guest
	pop	%rdi
	pop	%rdx
	pop	%rcx
	pop_saved
	cld
	ret

	verw_operand

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
