/* SPDX-License-Identifier: BSD-2-Clause */
/* What the monitor asks of an architecture: the debug port and random numbers. */
#ifndef ARCH_PLATFORM_H
#define ARCH_PLATFORM_H

#include "lib/types.h"
#include <suture/bundle.h>

/* The architecture whose kernel modules guests run, as ELF numbers them. Any CPU. */
enum suture_machine arch_machine(void);

/*
 * One character to the debug port of the configuration; does nothing without one, and before
 * arch_start_probe(). Any CPU, in any state, also in the handler of a fault; takes no lock. x86: an
 * I/O port; arm64: the data register of a PL011 (DDI 0183).
 */
void arch_debug_putc(char c);

/*
 * Fill buf with random bytes good enough for TCP sequence numbers and TLS. 0; -EIO: the generator
 * has none now. Any CPU; takes no lock. x86: RDRAND (APM vol. 3), else the jitter of the time stamp
 * counter; arm64: RNDR (Arm ARM DDI 0487, FEAT_RNG), else what ChaCha20 makes of the firmware's
 * seed; -EIO if there is none.
 */
int arch_random(void *buf, size_t len);

/*
 * Is what arch_random() gives good enough for keys that last? The processor has a generator, or the
 * firmware's seed is used. Any CPU.
 */
bool arch_random_is_good(void);

/*
 * Reset the machine, at once. Any CPU, in any state; takes no lock. x86: the reset control register
 * of PCI (CF9h), the keyboard controller, a triple fault; arm64: PSCI SYSTEM_RESET (DEN0022).
 */
_Noreturn void arch_machine_reset(void);

#endif
