/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A kernel that keeps itself out of the tables of its user programs (Linux: KPTI) enters and leaves
 * them at EL1 on those tables. They say nothing about the kernel, and so nobody may ask them.
 *
 * Linux (arch/arm64/kernel/entry.S, .entry.tramp.text) has one table of vectors for each mitigation
 * of Spectre-BHB, one behind the other, and behind them the way out and that of SDEI.
 */
#ifndef ARM64_TRAMPOLINE_H
#define ARM64_TRAMPOLINE_H

#include "lib/types.h"

/* As much as has a place in Linux's address space (FIX_ENTRY_TRAMP_TEXT1 to 4, of 4 KiB). */
#define TRAMPOLINE_MAX 0x4000ull

/*
 * Is the code at pc such a trampoline? vbar: VBAR_EL1, which leads to it as long as its tables are
 * in use; own: the vectors that the kernel has inside.
 */
static inline bool is_trampoline(u64 vbar, u64 own, u64 pc)
{
	return vbar != own && pc - vbar + TRAMPOLINE_MAX < 2 * TRAMPOLINE_MAX;
}

#endif
