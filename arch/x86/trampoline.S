/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From real mode into the monitor (APM vol. 2, 14.7 and 16.5). The code is copied to a page below 1
 * MiB, and up to the last jump it addresses all data relative to that page.
 */
#include "host.h"

#define OFFSET(label) (label - trampoline_start)

	.section .text.trampoline, "ax"
	.globl	trampoline_start, trampoline_halt, trampoline_data, trampoline_end
	.hidden	trampoline_start, trampoline_halt, trampoline_data, trampoline_end
	.balign 16
	.code16
trampoline_start:
	cli
	cld
	mov	%cs, %ax
	mov	%ax, %ds
	/* For an NMI (real_mode.c): the end of this page, then that of the page at 0. */
	mov	%ax, %ss
	mov	$4096, %esp
	/* The page's address, for the descriptor tables and the far jump. */
	movzwl	%ax, %ebx
	shl	$4, %ebx
	lea	OFFSET(gdt)(%ebx), %eax
	mov	%eax, OFFSET(gdt_pointer) + 2
	lea	OFFSET(long_mode)(%ebx), %eax
	mov	%eax, OFFSET(far_pointer)
	lgdtl	OFFSET(gdt_pointer)

	mov	$(1 << 5), %eax			/* CR4.PAE */
	mov	%eax, %cr4
	mov	OFFSET(trampoline_data), %eax
	mov	%eax, %cr3
	mov	$0xc0000080, %ecx		/* EFER: LME, NXE */
	rdmsr
	or	$(1 << 8 | 1 << 11), %eax
	wrmsr
	mov	$0x80010033, %eax		/* CR0: PG, WP, NE, ET, MP, PE */
	mov	%eax, %cr0
	ljmpl	*OFFSET(far_pointer)

	.code64
long_mode:
	mov	$HOST_DS, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	mov	trampoline_data + 8(%rip), %rax
	jmp	*%rax

	/* In real mode as in long mode. */
trampoline_halt:
	hlt
	jmp	trampoline_halt

	.balign 8
gdt:
	.quad	0
	.quad	0x00af9b000000ffff
	.quad	0x00cf93000000ffff
gdt_pointer:
	.word	. - gdt - 1
	.long	0
	.balign 4
far_pointer:
	.long	0
	.word	HOST_CS
	.balign 8
trampoline_data:
	.quad	0	/* cr3 */
	.quad	0	/* entry */
trampoline_end:

/* In the monitor's image: identify this CPU, and continue on its stack. */
	.section .text.ap_entry, "ax"
	.code64
	.globl	ap_entry
	.hidden	ap_entry
ap_entry:
	/* x2APIC ID where there is one (CPUID FnB), else the APIC ID (Fn1). */
	xor	%eax, %eax
	cpuid
	cmp	$0xb, %eax
	jb	1f
	mov	$0xb, %eax
	xor	%ecx, %ecx
	cpuid
	test	%ebx, %ebx
	jnz	2f
1:	mov	$1, %eax
	xor	%ecx, %ecx
	cpuid
	shr	$24, %ebx
	mov	%ebx, %edx
2:	mov	%edx, %edx			/* zero-extended */
	lea	ap_slots(%rip), %rax
3:	mov	16(%rax), %rdi
	test	%rdi, %rdi
	jz	4f
	cmp	%rdx, (%rax)
	je	5f
	add	$24, %rax
	jmp	3b
4:	cli					/* not a CPU of the table */
	hlt
	jmp	4b
5:	mov	8(%rax), %rsp
	xor	%ebp, %ebp
	call	ap_main
	ud2

	.section .note.GNU-stack, "", @progbits
