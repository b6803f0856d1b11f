/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The interrupt controller, a GICv3 or v4 (IHI 0069). It is the guest's: the monitor sends SGIs,
 * makes one SPI pending that no device has (the doorbell), and takes no interrupt. The service
 * CPU's redistributor stays as the firmware has left it: the guest reads it, since it walks all of
 * them, and what it writes there is lost.
 */
#ifndef ARM64_GIC_H
#define ARM64_GIC_H

#include "boot/irqs.h"
#include "boot/range.h"

struct boot_info;
struct idmap;

/*
 * Is there a GIC with system registers, and where is the service CPU's redistributor? 0; -ENODEV
 * with `why` for people. Boot CPU, in core_init(), on the firmware's tables.
 */
int gic_probe(const struct boot_info *bi, char *why, size_t why_size);

/*
 * gic_find.c: which frames are the redistributor of the CPU with this hardware ID (IHI 0069, 12.10:
 * 2 of 64 KiB, 4 with virtual LPIs)? Size 0: none. As gic_probe().
 */
struct boot_range gic_find(const struct boot_ranges *redistributors, u64 hwid);

/*
 * gic_find.c: an SPI that this distributor has for us, and no device: the last one that is not
 * among `named`, and is as after a reset. Its INTID; 0: there is none. It is made pending and not
 * again, disabled all the time. As gic_probe().
 */
u32 gic_find_free(u64 distributor, const struct boot_irqs *named);

/* gic_find.c: make that SPI pending, or not pending (12.9.25, 12.9.14). Any CPU, at EL2. */
void gic_set_pending(u64 distributor, u32 intid, bool pending);

/* Map what the monitor uses, and hide the redistributor from the guest's writes. In
 * arch_start_map(). */
int gic_map(struct idmap *m);

/* Is a write of the guest's to this address to be lost? Any CPU. */
bool gic_filters(ipa_t ipa);

/*
 * This CPU's interface by system registers, for the guest too (ICC_SRE_EL2). At EL2, before the
 * guest is entered there, and before gic_send().
 */
void gic_init_cpu(void);

/* Nothing interrupts the service CPU, and no interrupt for any of several CPUs comes to it. On it.
 */
void gic_init_service(void);

/* Can an interrupt of group 1 come to this CPU, and end its WFI (ICC_IGRPEN1_EL1)? On it, at EL2.
 */
bool gic_delivers(void);

/* Send SGI `intid` (0 to 15) of group 1 to the CPU with this hardware ID (12.2.19). Any CPU, at
 * EL2. */
void gic_send(u64 hwid, u32 intid);

#endif
