/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The switch between monitor and guest (Intel SDM vol. 3, "VM Entries" and "VM Exits"), and the
 * instructions of VMX. The VMCS switches all but the general registers.
 */
#include "vmcs.h"

	.section .text.vmx_run, "ax"

/* enum gpr of hv.h */
#define GPR(n) (8 * n)
#define RAX 0
#define RCX 1
#define RDX 2
#define RBX 3
#define RBP 5
#define RSI 6
#define RDI 7

/*
 * int vmx_run(u64 *gprs, bool launched): RSP is in the VMCS. 0 after an exit; 1 if the entry did not
 * begin. An NMI in between is taken by the monitor's handler: descriptor tables and GS are the
 * monitor's until the entry, and from the exit on.
 */
	.globl	vmx_run
	.hidden	vmx_run
vmx_run:
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	push	%rdi
	mov	$VMCS_HOST_RSP, %eax
	vmwrite	%rsp, %rax
	test	%sil, %sil
	mov	GPR(RAX)(%rdi), %rax
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
	jnz	1f
	vmlaunch
	jmp	2f
1:	vmresume
2:	/* still here: the entry did not begin, and the registers that C expects are the guest's */
	pop	%rdi
	mov	$1, %eax
	jmp	3f

	.globl	vmx_exit_entry
	.hidden	vmx_exit_entry
vmx_exit_entry:
	push	%rdi
	mov	8(%rsp), %rdi
	mov	%rax, GPR(RAX)(%rdi)
	pop	%rax
	mov	%rax, GPR(RDI)(%rdi)
	pop	%rax
	mov	%rcx, GPR(RCX)(%rdi)
	mov	%rdx, GPR(RDX)(%rdi)
	mov	%rbx, GPR(RBX)(%rdi)
	mov	%rbp, GPR(RBP)(%rdi)
	mov	%rsi, GPR(RSI)(%rdi)
	mov	%r8, GPR(8)(%rdi)
	mov	%r9, GPR(9)(%rdi)
	mov	%r10, GPR(10)(%rdi)
	mov	%r11, GPR(11)(%rdi)
	mov	%r12, GPR(12)(%rdi)
	mov	%r13, GPR(13)(%rdi)
	mov	%r14, GPR(14)(%rdi)
	mov	%r15, GPR(15)(%rdi)
	/* No return follows the guest's calls: each entry of the return predictor leads to a stop, and
	   the LFENCE stops the first return of processors that ignore that ("Return Stack Buffer
	   Underflow" and "Post-barrier Return Stack Buffer Predictions" of Intel's guidance). */
	.rept	32
	call	4f
	int3
4:
	.endr
	add	$(32 * 8), %rsp
	lfence
	xor	%eax, %eax
	/* speculation does not find the guest's values in registers that C does not expect here */
	xor	%ecx, %ecx
	xor	%edx, %edx
	xor	%esi, %esi
	xor	%r8d, %r8d
	xor	%r9d, %r9d
	xor	%r10d, %r10d
	xor	%r11d, %r11d
3:
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	cld
	ret

/* An NMI that caused an exit blocks others until an IRET ("Other Causes of VM Exits"). */
	.globl	vmx_unblock_nmis
	.hidden	vmx_unblock_nmis
vmx_unblock_nmis:
	mov	%rsp, %rax
	mov	%ss, %ecx
	push	%rcx
	push	%rax
	pushfq
	mov	%cs, %ecx
	push	%rcx
	lea	1f(%rip), %rcx
	push	%rcx
	iretq
1:	ret

/* ---- instructions that report failure in CF and ZF ("Conventions"): 0 or -EIO ---- */

	.macro	result
	mov	$-5, %ecx
	mov	$0, %eax
	cmovbe	%ecx, %eax
	ret
	.endm

/* u64 vmcs_read(u32 field) */
	.globl	vmcs_read
	.hidden	vmcs_read
vmcs_read:
	mov	%edi, %edi
	vmread	%rdi, %rax
	ret

/* int vmcs_write(u32 field, u64 value) */
	.globl	vmcs_write
	.hidden	vmcs_write
vmcs_write:
	mov	%edi, %edi
	vmwrite	%rsi, %rdi
	result

/* int vmx_on(const u64 *pa) */
	.globl	vmx_on
	.hidden	vmx_on
vmx_on:
	vmxon	(%rdi)
	result

/* void vmx_off(void) */
	.globl	vmx_off
	.hidden	vmx_off
vmx_off:
	vmxoff
	ret

/* int vmcs_clear(const u64 *pa) */
	.globl	vmcs_clear
	.hidden	vmcs_clear
vmcs_clear:
	vmclear	(%rdi)
	result

/* int vmcs_load(const u64 *pa) */
	.globl	vmcs_load
	.hidden	vmcs_load
vmcs_load:
	vmptrld	(%rdi)
	result

/* int vmx_invept(u64 type, const u64 *descriptor) */
	.globl	vmx_invept
	.hidden	vmx_invept
vmx_invept:
	invept	(%rsi), %rdi
	result

/* int vmx_invvpid(u64 type, const u64 *descriptor) */
	.globl	vmx_invvpid
	.hidden	vmx_invvpid
vmx_invvpid:
	invvpid	(%rsi), %rdi
	result

	.section .note.GNU-stack, "", @progbits
