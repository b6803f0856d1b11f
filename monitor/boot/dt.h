/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Device trees (Devicetree Specification 0.4, chapter 5: the flattened format): reading the
 * firmware's, and building the guest's. The firmware's is never changed, so that naming it again
 * undoes everything. Pure logic.
 */
#ifndef BOOT_DT_H
#define BOOT_DT_H

#include "boot/dt_walk.h"
#include "boot/irqs.h"
#include "boot/psci.h"
#include "boot/range.h"

/* 0; -EINVAL: this is no flattened tree of version 16 or later. */
int dt_open(struct dt *t, const void *blob);

/* Hardware numbers of the usable CPUs, in the tree's order. How many, at most max, or -E2BIG. */
int dt_cpus(const struct dt *t, u64 *hwid, u32 max);

/* PCI configuration space of domain 0 from its bus 0 on, and the last bus; 0 if there is none. */
pa_t dt_ecam(const struct dt *t, u32 *end_bus);

/* How PSCI is called; version 0.1, which has no function numbers of its own, does not count. */
enum boot_psci dt_psci(const struct dt *t);

/* The redistributors of a GICv3. False: more ranges than r has room for. */
bool dt_redistributors(const struct dt *t, struct boot_ranges *r);

/* The distributor of a GICv3; 0: the tree has none. */
pa_t dt_distributor(const struct dt *t);

/* Add each cell of the tree, as the number of an SPI: more than there are interrupts. */
void dt_irqs(const struct dt *t, struct boot_irqs *irqs);

/* What the guest is to see otherwise. */
struct dt_edit {
	u64 service_hwid;	    /* is the node of no CPU, and has no place in cpu-map */
	struct boot_range memory;   /* is reserved, not to be mapped */
	struct boot_ranges claimed; /* is in no PCI bridge's window */
	pa_t body;		    /* of struct suture_acpi_body, for the agent */
};

/* Bytes that dt_build() needs at most. */
size_t dt_build_size(const struct dt *t);

/*
 * Build in buf the tree that the guest is to see: the firmware's, but changed as `edit` says,
 * IOMMUs and SDEI disabled, and a node added by which the agent finds the monitor (suture/abi.h).
 * Returns its size; -EINVAL: the tree is malformed, or too deep.
 */
int dt_build(const struct dt *t, const struct dt_edit *edit, void *buf, size_t size);

#endif
