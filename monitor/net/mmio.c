/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/memory.h"
#include "net/nic.h"

void *mmio_at(pa_t pa)
{
	return arch_ptr(pa);
}

u32 mmio_read(const volatile void *base, u32 reg)
{
	return *(const volatile u32 *)((const volatile u8 *)base + reg);
}

void mmio_write(volatile void *base, u32 reg, u32 value)
{
	*(volatile u32 *)((volatile u8 *)base + reg) = value;
}
