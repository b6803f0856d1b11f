/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lwIP on the management NIC. All of it runs on the service CPU, in the service loop; no other CPU
 * may call into lwIP.
 */
#ifndef NET_NET_H
#define NET_NET_H

#include "boot/boot.h"

/*
 * Find the NIC's driver and bring lwIP up with the configured address. 0, or negative errno,
 * which is logged; the monitor goes on without a network.
 */
int net_init(const struct boot_info *bi);

/*
 * Move frames, run timers. Returns the arch_time_us() at which it wants to be called again at the
 * latest. An interrupt of the NIC wakes the loop earlier where the NIC and machine can (MSI).
 */
u64 net_poll(void);

/*
 * No DMA of the management NIC from here on, whatever state its driver is in. The service CPU has
 * begun anew.
 */
void net_halt(const struct boot_info *bi);

/* The management NIC, for what the API shows of it; NULL while there is none. */
struct nic;
const struct nic *net_nic(void);

#endif
