/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the monitor asks of an architecture: its part of core_init() (monitor/start.c), in the order
 * of the calls. Boot CPU, firmware alive, no lock held; nothing outside the monitor's memory is
 * changed. Functions return 0 or negative errno, after which none of the later ones is called.
 */
#ifndef ARCH_START_H
#define ARCH_START_H

#include "lib/types.h"

struct boot_info;
struct cpu;
struct idmap;
struct pci_device;

/*
 * Can this machine be virtualized? If not, `why` is set, for people: -ENODEV, -EINVAL. *bi must
 * stay valid; facts that only the architecture knows are added to it. Time and the debug port work
 * afterwards. x86: APM vol. 2, 15.4; arm64: CurrentEL and ID_AA64MMFR0_EL1 (Arm ARM DDI 0487).
 */
int arch_start_probe(struct boot_info *bi, char *why, size_t why_size);

/*
 * Allocate the structures that all CPUs share (x86: the MSR bitmap, APM vol. 2, 15.11). The pool is
 * there from now on. -ENOMEM.
 */
int arch_start_shared(void);

/* Allocate c->arch and what belongs to it (x86: VMCB, GDT, TSS, stacks; APM vol. 2, 4.6 and 15.5).
 * -ENOMEM. */
int arch_start_cpu(struct cpu *c);

/*
 * Add to m, the monitor's own map, what only this architecture needs in it (interrupt controller,
 * pages that CPUs start in), and hide from the guest (hide.h) what only it has to hide. m has the
 * image, ECAM and the NIC already, and those are hidden. -EEXIST: overlap; -ENOSPC, -ENOMEM. x86:
 * APM vol. 2, 16.3.1 (local APIC) and 16.5 (SIPI); arm64: IHI 0069.
 */
int arch_start_map(struct idmap *m);

/* The monitor's own page tables are ready; `root` is what a CPU's table register points at (x86:
 * CR3, APM vol. 2, 5.3.2; arm64: TTBR0_EL2). */
void arch_start_tables(pa_t root);

/*
 * Stage 2 is built: set up the other intercepts of the guest's accesses. nic NULL: there is none.
 * x86: the I/O permission map (APM vol. 2, 15.10.1); arm64: HCR_EL2.
 */
void arch_start_intercepts(const struct pci_device *nic);

/* The name of the virtualization extension ("AMD SVM"), for the log; a constant. */
const char *arch_start_name(void);

/* ---- later, in the hook in ExitBootServices; boot CPU, on the firmware's tables ---- */

/*
 * Virtualize the boot CPU: on success the caller goes on as the guest, and 0 is returned to it
 * there, from the visible image. On failure negative errno, natively. After ExitBootServices
 * returned success: bi->ram and bi->acpi_body are final now, not before. Begins with
 * start_before_guest(). x86: APM vol. 2, 15.5; arm64: ERET to EL1.
 */
int arch_take_over(struct boot_info *bi);

/*
 * Start c, which the firmware has parked, in service_main(). 0 once it runs; -ETIMEDOUT: it does
 * not run, and is left in a state that costs nothing (x86: wait for SIPI). x86: INIT and SIPI (APM
 * vol. 2, 16.5); arm64: PSCI CPU_ON (DEN0022).
 */
int arch_start_service(struct cpu *c);

/* enum suture_hypercall_insn: the instruction that a guest calls with here (x86: VMMCALL, APM vol.
 * 3; arm64: HVC). */
u32 arch_start_hypercall_insn(void);

#endif
