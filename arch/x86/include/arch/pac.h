/* SPDX-License-Identifier: BSD-2-Clause */
/* Return addresses carry no authentication code on x86. */
#ifndef ARCH_PAC_H
#define ARCH_PAC_H

#include "lib/types.h"

/* The code address in a word of a stack or register, without its authentication code. */
static inline u64 arch_strip_pac(u64 word)
{
	return word;
}

#endif
