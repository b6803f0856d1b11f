/* SPDX-License-Identifier: GPL-2.0-only */
#include <linux/linkage.h>

/* Two pages, each of which begins with a function that is to be patched. */
	.text
	.balign	4096
/* int stores_first(void) */
SYM_FUNC_START(stores_first)
	mov	w0, #1
	ret
SYM_FUNC_END(stores_first)
	.balign	4096
/* int stores_second(void) */
SYM_FUNC_START(stores_second)
	mov	w0, #2
	ret
SYM_FUNC_END(stores_second)
	.balign	4096
