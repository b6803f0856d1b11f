/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where the firmware enters sutureaa64.efi: x0 the image's handle, x1 the system table (UEFI 2.10,
 * 2.3.6.4). Relocates the visible image and calls efi_main().
 */
	.section .text._start, "ax"
	.globl	_start
_start:
	stp	x29, x30, [sp, #-32]!
	mov	x29, sp
	stp	x0, x1, [sp, #16]
	mov	x2, x0
	mov	x3, x1
	adrp	x0, ImageBase
	add	x0, x0, :lo12:ImageBase
	adrp	x1, _DYNAMIC
	add	x1, x1, :lo12:_DYNAMIC
	bl	_relocate
	cbnz	x0, 1f
	ldp	x0, x1, [sp, #16]
	bl	efi_main
1:	ldp	x29, x30, [sp], #32
	ret

/* Loaders want a table of base relocations, or refuse to move the image: one block without any. */
	.section .reloc, "a"
2:	.long	3f - 2b
	.long	10
	.short	0
3:

	.section .note.GNU-stack, "", @progbits
