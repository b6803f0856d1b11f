/* SPDX-License-Identifier: BSD-2-Clause */
#include "net/nic.h"

u32 mmio_read(const volatile void *base, u32 reg)
{
	return *(const volatile u32 *)((const volatile u8 *)base + reg);
}

void mmio_write(volatile void *base, u32 reg, u32 value)
{
	*(volatile u32 *)((volatile u8 *)base + reg) = value;
}
