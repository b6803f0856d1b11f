/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Vectors for one instruction at EL1 with a stack of its own (SPSel is 1) and all else masked. What
 * it raises goes to x17 (ESR_EL1), and execution to where x16 points.
 */
#include <linux/linkage.h>

#define SPSR_IL 0x100000

	.text
	.balign 2048
SYM_CODE_START(hostile_vectors)
	.rept 4
	.balign 128
	b .
	.endr
	.balign 128
	mrs x17, esr_el1
	msr elr_el1, x16
	/* an illegal return would be one again */
	mrs x15, spsr_el1
	bic x15, x15, #SPSR_IL
	msr spsr_el1, x15
	eret
	.rept 11
	.balign 128
	b .
	.endr
	.balign 128
SYM_CODE_END(hostile_vectors)
