/* SPDX-License-Identifier: BSD-2-Clause */
/* There are no PCI devices. A test that needs one defines these functions itself. */
#include "arch/device.h"
#include "arch/service.h"

u32 arch_pci_read(u16 bdf, u32 reg, u32 size)
{
	(void)bdf, (void)reg, (void)size;
	return ~0u;
}

void arch_pci_write(u16 bdf, u32 reg, u32 size, u32 value)
{
	(void)bdf, (void)reg, (void)size, (void)value;
}

bool arch_service_msi(u64 *address, u32 *data)
{
	(void)address, (void)data;
	return false;
}
