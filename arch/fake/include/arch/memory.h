/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Simulated physical memory: one host buffer that begins at physical address FAKE_RAM_BASE. It is
 * not zero, so that a pointer used as a physical address, or the reverse, fails.
 */
#ifndef ARCH_MEMORY_H
#define ARCH_MEMORY_H

#include "lib/types.h"

#define FAKE_RAM_BASE 0x40000000ull
#define FAKE_RAM_SIZE (64ull << 20)

/* Aborts the test when the address is not in the simulated memory. */
void *arch_ptr(pa_t pa);
pa_t arch_pa(const void *p);

#endif
