/* SPDX-License-Identifier: BSD-2-Clause */
/* Interrupt numbers of the GIC that the firmware's tables name, or may name. */
#ifndef BOOT_IRQS_H
#define BOOT_IRQS_H

#include "lib/types.h"

#define BOOT_IRQS 1024 /* the others are no SPIs (IHI 0069, 2.2.1) */

struct boot_irqs {
	u64 bits[BOOT_IRQS / 64];
};

static inline void irqs_add(struct boot_irqs *s, u32 irq)
{
	if (irq < BOOT_IRQS)
		s->bits[irq / 64] |= 1ull << (irq % 64);
}

static inline bool irqs_has(const struct boot_irqs *s, u32 irq)
{
	return irq < BOOT_IRQS && s->bits[irq / 64] >> (irq % 64) & 1;
}

#endif
