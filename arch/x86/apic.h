/* SPDX-License-Identifier: BSD-2-Clause */
/* This CPU's local APIC, xAPIC or x2APIC (APM vol. 2, chapter 16). */
#ifndef X86_APIC_H
#define X86_APIC_H

#include "lib/types.h"

/* Register offsets in the page; the MSR of x2APIC is MSR_X2APIC + offset / 16. */
enum apic_register {
	APIC_ID = 0x20,
	APIC_TPR = 0x80,
	APIC_EOI = 0xb0,
	APIC_LDR = 0xd0,
	APIC_DFR = 0xe0,
	APIC_SVR = 0xf0,
	APIC_ISR = 0x100, /* eight of them */
	APIC_ICR = 0x300,
	APIC_ICR2 = 0x310,
	APIC_LVT_TIMER = 0x320,
	APIC_LVT_THERMAL = 0x330,
	APIC_LVT_PERF = 0x340,
	APIC_LVT_LINT0 = 0x350,
	APIC_LVT_LINT1 = 0x360,
	APIC_LVT_ERROR = 0x370,
	APIC_TIMER_COUNT = 0x380,
	APIC_TIMER_NOW = 0x390,
	APIC_TIMER_DIVIDE = 0x3e0,
};

/* ICR, low half */
#define APIC_VECTOR(icr) ((icr)&0xff)
#define APIC_MODE(icr)	 ((icr)&0x700)
#define APIC_FIXED	 0x000u
#define APIC_LOWEST	 0x100u
#define APIC_NMI	 0x400u
#define APIC_INIT	 0x500u
#define APIC_SIPI	 0x600u
#define APIC_LOGICAL	 (1u << 11)
#define APIC_BUSY	 (1u << 12)
#define APIC_ASSERT	 (1u << 14)
#define APIC_LEVEL	 (1u << 15)
#define APIC_SHORTHAND	 (3u << 18)
#define APIC_TO_SELF	 (1u << 18)
#define APIC_TO_ALL	 (2u << 18)
#define APIC_TO_OTHERS	 (3u << 18)

#define APIC_SVR_ENABLE (1u << 8)
#define APIC_LVT_MASKED (1u << 16)

bool apic_is_x2(void);
u32 apic_read(enum apic_register r);
void apic_write(enum apic_register r, u32 value);

/*
 * Send one interrupt to the CPU with this APIC ID: low half of the ICR, physical destination.
 * Leaves the guest's upper half as it was. Any CPU, interrupts off.
 */
void apic_send(u64 hwid, u32 icr);

#endif
