/* SPDX-License-Identifier: GPL-2.0-only */
#include <linux/linkage.h>

/* int assembly_twice(int n) */
SYM_FUNC_START(assembly_twice)
	add	w0, w0, w0
	ret
SYM_FUNC_END(assembly_twice)

/* int assembly_nap(void): sleeps in assembly_sleep(), and returns 1 more than that */
SYM_FUNC_START(assembly_nap)
	stp	x29, x30, [sp, #-16]!
	mov	x29, sp
	bl	assembly_sleep
	add	w0, w0, #1
	ldp	x29, x30, [sp], #16
	ret
SYM_FUNC_END(assembly_nap)
