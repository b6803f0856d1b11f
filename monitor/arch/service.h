/* SPDX-License-Identifier: BSD-2-Clause */
/* What the monitor asks of an architecture: to let its service CPU sleep, and to wake it. */
#ifndef ARCH_SERVICE_H
#define ARCH_SERVICE_H

#include "lib/types.h"

struct cpu;

/*
 * Wake the service CPU from arch_service_idle(). Any CPU inside the monitor; takes no lock and does
 * not wait. x86: a fixed interrupt by the local APIC (APM vol. 2, 16.5); arm64: SEV
 * (Arm ARM DDI 0487, D1.6), not an interrupt of the GIC, which the guest may turn off.
 */
void arch_service_wake(void);

/*
 * Halt the service CPU until an interrupt, a wake, or until_us (arch_time_us() scale; UINT64_MAX:
 * never). May return earlier. A wake that came since the last return is not lost: then it returns
 * at once. Service CPU only, no lock held. x86: timer of the local APIC (APM vol. 2, 16.4.1), STI
 * and HLT (vol. 3); arm64: WFE, which the timer's event stream ends (Arm ARM DDI 0487, D12.2).
 */
void arch_service_idle(u64 until_us);

/*
 * MSI address and data that bring an interrupt to the service CPU and wake it; false if the machine
 * has none that does. Service CPU; takes no lock. x86: APM vol. 2, 16.10; arm64: none, the NIC
 * is polled.
 */
bool arch_service_msi(u64 *address, u32 *data);

/*
 * Start the service CPU from reset, in service_main(), whatever it does. Takes part in pauses while
 * it waits. 0; -ETIMEDOUT: it does not answer; -EOPNOTSUPP. Guest CPU self, in its exit. x86: INIT
 * and SIPI (APM vol. 2, 16.5), and no NMI before: a CPU that a device's INIT has stopped would take
 * it in real mode, by a vector in the guest's memory (seen in QEMU 7.2). arm64: PSCI cannot turn
 * off another CPU (DEN0022, CPU_OFF).
 */
int arch_service_reset(struct cpu *self);

#endif
