/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * MSRs of the firmware's, of which the guest may change a part: functions of the table in msr.c. On
 * that CPU, in its exit. 0, or -EIO for #GP.
 */
#ifndef X86_FIRMWARE_MSR_H
#define X86_FIRMWARE_MSR_H

#include "lib/types.h"

struct cpu;

int firmware_set_syscfg(struct cpu *c, u32 msr, u64 value);
int firmware_set_hwcr(struct cpu *c, u32 msr, u64 value);

/* As where the processor does not take it: Linux sees that the revision is what it was. */
int firmware_ignore_microcode(struct cpu *c, u32 msr, u64 value);

#endif
