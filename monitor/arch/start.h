/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the monitor asks of an architecture: its part of core_init() (monitor/start.c), in the order
 * of the calls. Boot CPU, firmware alive; nothing outside the monitor's memory is changed.
 * Functions return 0 or negative errno, after which none of the later ones is called.
 */
#ifndef ARCH_START_H
#define ARCH_START_H

#include "lib/types.h"

struct boot_info;
struct cpu;
struct pci_device;

/*
 * Can this machine be virtualized? With `why` for people if not. *bi stays, and what only the
 * architecture knows of the machine is added to it. Time and the debug port work afterwards.
 */
int arch_start_probe(struct boot_info *bi, char *why, size_t why_size);

/* Allocate what all CPUs share. The pool is there from now on. -ENOMEM. */
int arch_start_shared(void);

/* Allocate c->arch and what belongs to it. -ENOMEM. */
int arch_start_cpu(struct cpu *c);

/*
 * Make the monitor's own page tables, and hide what only this architecture has (hide.h): it knows
 * of the monitor's memory and the NIC already. nic NULL: there is none. -ENOMEM, -EEXIST.
 */
int arch_start_tables(const struct pci_device *nic);

/* Stage 2 is built: see to what else of the guest's accesses is to exit. */
void arch_start_intercepts(const struct pci_device *nic);

/* What virtualizes here ("AMD SVM"), for the log. */
const char *arch_start_name(void);

#endif
