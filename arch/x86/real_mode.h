/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a CPU takes from the lowest memory between INIT and the monitor's descriptor tables. A
 * device's message can bring it an NMI there: in wait-for-SIPI (seen in QEMU 7.2; no processor was
 * tried) or in the trampoline. Its vector would be the guest's, and what it leads
 * to would run without stage 2. So these pages are the monitor's, and the guest has others there.
 */
#ifndef X86_REAL_MODE_H
#define X86_REAL_MODE_H

#include "lib/types.h"

/* Take the pages from the guest's stage 2. -ENOMEM, -EEXIST. Boot CPU, in core_init. */
int real_mode_hide(void);

/*
 * Give the guest what is in them, the first time; then set the vectors of NMI and machine check, in
 * both modes, to trampoline_halt, where a CPU halts until the next INIT. Service CPU, on the
 * monitor's tables, before the guest runs and in each of its lives.
 */
void real_mode_guard(void);

/*
 * The page at 0: vectors that lead `offset` bytes into the page at `trampoline`. Real mode: APM
 * vol. 2, "Real-Mode Interrupt Control Transfers"; long mode, before the monitor's IDT is loaded:
 * "Long-Mode Interrupt Control Transfers".
 */
void real_mode_vectors(void *page, u64 trampoline, u32 offset);

#endif
