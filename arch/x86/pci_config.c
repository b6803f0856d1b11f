/* SPDX-License-Identifier: BSD-2-Clause */
#include "pci_config.h"
#include "arch/device.h"
#include "arch/memory.h"
#include "core/lock.h"
#include "hv.h"
#include "insn.h"

#define ADDRESS_REG 0xfcu
#define LAST_BUS    255

static struct spinlock lock;

bool pci_is_in_memory(void)
{
	return machine->ecam.v && machine->ecam_end_bus == LAST_BUS;
}

static bool has_memory(u16 bdf)
{
	return machine->ecam.v && (u32)bdf >> 8 <= machine->ecam_end_bus;
}

/* ---- accesses of one to four bytes ---- */

static u32 load(const volatile void *at, u32 size)
{
	return size == 1   ? *(const volatile u8 *)at
	       : size == 2 ? *(const volatile u16 *)at
			   : *(const volatile u32 *)at;
}

static void store(volatile void *at, u32 size, u32 value)
{
	if (size == 1)
		*(volatile u8 *)at = (u8)value;
	else if (size == 2)
		*(volatile u16 *)at = (u16)value;
	else
		*(volatile u32 *)at = value;
}

u32 pci_port_in(u16 port, u32 size)
{
	return size == 1 ? inb(port) : size == 2 ? inw(port) : inl(port);
}

void pci_port_out(u16 port, u32 size, u32 value)
{
	if (size == 1)
		outb(port, (u8)value);
	else if (size == 2)
		outw(port, (u16)value);
	else
		outl(port, value);
}

static volatile void *memory_at(u16 bdf, u32 reg)
{
	return arch_ptr(PA(machine->ecam.v + ((u64)bdf << 12) + reg));
}

static void set_address(u16 bdf, u32 reg)
{
	outl(PCI_ADDRESS_PORT,
	     PCI_ADDRESS_ENABLE | (u32)bdf << 8 | (reg & ADDRESS_REG) | (reg & 0xf00) << 16);
}

u32 pci_config_read(u16 bdf, u32 reg, u32 size)
{
	if (has_memory(bdf))
		return load(memory_at(bdf, reg), size);
	set_address(bdf, reg);
	return pci_port_in((u16)(PCI_DATA_PORT + reg % 4), size);
}

void pci_config_write(u16 bdf, u32 reg, u32 size, u32 value)
{
	if (has_memory(bdf)) {
		store(memory_at(bdf, reg), size, value);
		return;
	}
	set_address(bdf, reg);
	pci_port_out((u16)(PCI_DATA_PORT + reg % 4), size, value);
}

void pci_config_lock(void)
{
	spin_lock(&lock);
}

void pci_config_unlock(void)
{
	spin_unlock(&lock);
}

/* ---- the monitor's access ---- */

u32 arch_pci_read(u16 bdf, u32 reg)
{
	u32 v;

	pci_config_lock();
	v = pci_config_read(bdf, reg & ADDRESS_REG, 4);
	pci_config_unlock();
	return v;
}

void arch_pci_write(u16 bdf, u32 reg, u32 value)
{
	pci_config_lock();
	pci_config_write(bdf, reg & ADDRESS_REG, 4, value);
	pci_config_unlock();
}
