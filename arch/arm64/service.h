/* SPDX-License-Identifier: BSD-2-Clause */
/* The service CPU's side of arch/arm64. */
#ifndef ARM64_SERVICE_H
#define ARM64_SERVICE_H

#include "core/cpu.h"

struct boot_info;

/*
 * Set up events and the GIC, and run service_main(). On the service CPU, at EL2, on the monitor's
 * tables and its own stack, TPIDR_EL2 set, PSTATE.DAIF masked, for good.
 */
_Noreturn void service_start(struct cpu *c, const struct boot_info *bi);

#endif
