/* SPDX-License-Identifier: BSD-2-Clause */
/* Return addresses of the guest. Any CPU. */
#ifndef ARCH_PAC_H
#define ARCH_PAC_H

#include "lib/types.h"

/*
 * The code address in a word of a stack or register, without its authentication code. x86: the
 * word; arm64: FEAT_PAuth (Arm ARM DDI 0487), bit 55 selects the half of the address space.
 */
u64 arch_strip_pac(u64 word);

#endif
