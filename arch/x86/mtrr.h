/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The service CPU has the guest's MTRRs: on CPUs with different types for the same memory the
 * caches are not coherent (APM vol. 2, 7.7.5).
 */
#ifndef X86_MTRR_H
#define X86_MTRR_H

#include "lib/types.h"

/*
 * Read this CPU's, which are the guest's until it writes others, into memory_types. Without MTRRs
 * all memory counts as write-back. Boot CPU, in the start.
 */
void mtrr_init(void);

/* A guest CPU has written this value to its MTRR: the service CPU will, too. On any CPU, in its
 * exit. */
void mtrr_note(u32 msr, u64 value);

/*
 * Write what has been noted, and have stage 2 follow. True: to be called again. Service CPU,
 * interrupts off, no lock held.
 */
bool mtrr_follow(void);

#endif
