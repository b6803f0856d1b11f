/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The switch between monitor and guest (Intel SDM vol. 3, "VM Entries" and "VM Exits"), and the
 * instructions of VMX. The VMCS switches all but the general registers.
 */
#include "../switch.h"
#include "vmcs.h"

	.section .text.vmx_run, "ax"

/*
 * int vmx_run(u64 *gprs, u32 flags): RSP is in the VMCS. 0 after an exit; 1 if the entry did not begin.
 * An NMI in between is taken by the monitor's handler: descriptor tables and GS are the
 * monitor's until the entry, and from the exit on.
 */
	.globl	vmx_run
	.hidden	vmx_run
vmx_run:
	push_saved
	push	%rsi
	push	%rdi
	mov	$VMCS_HOST_RSP, %eax
	vmwrite	%rsp, %rax
	mov	GPR(RAX)(%rdi), %rax
	load_guest
	testb	$SWITCH_CLEARS, 8(%rsp)
	jz	4f
	clear_buffers
4:	testb	$SWITCH_RESUMES, 8(%rsp)
	jnz	1f
	vmlaunch
	jmp	2f
1:	vmresume
2:	/* still here: the entry did not begin, and the registers that C expects are the guest's */
	pop	%rdi
	mov	$1, %eax
	jmp	3f
	verw_operand

	.globl	vmx_exit_entry
	.hidden	vmx_exit_entry
vmx_exit_entry:
	push	%rdi
	mov	8(%rsp), %rdi
	mov	%rax, GPR(RAX)(%rdi)
	pop	%rax
	mov	%rax, GPR(RDI)(%rdi)
	pop	%rax
	save_guest %rdi
	forget_guest
3:	add	$8, %rsp
	pop_saved
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
