/* SPDX-License-Identifier: GPL-2.0-only */
#include <linux/linkage.h>
#include <asm/frame.h>

/* int assembly_twice(int n) */
SYM_FUNC_START(assembly_twice)
	lea	(%rdi, %rdi), %eax
	RET
SYM_FUNC_END(assembly_twice)

/* int assembly_nap(void): sleeps in assembly_sleep(), and returns 1 more than that */
SYM_FUNC_START(assembly_nap)
	FRAME_BEGIN
	call	assembly_sleep
	inc	%eax
	FRAME_END
	RET
SYM_FUNC_END(assembly_nap)
