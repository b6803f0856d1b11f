/* SPDX-License-Identifier: BSD-2-Clause */
/* Configuration space is in memory (ECAM) or there is none. */
#include "arch/device.h"

u32 arch_pci_read(u16 bdf, u32 reg, u32 size)
{
	(void)bdf, (void)reg, (void)size;
	return ~0u;
}

void arch_pci_write(u16 bdf, u32 reg, u32 size, u32 value)
{
	(void)bdf, (void)reg, (void)size, (void)value;
}
