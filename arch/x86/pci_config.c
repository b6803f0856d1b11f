/* SPDX-License-Identifier: BSD-2-Clause */
#include "pci_config.h"
#include "arch/device.h"
#include "hv.h"
#include "insn.h"

#define ADDRESS_REG 0xfcu
#define LAST_BUS    255

bool pci_is_in_memory(void)
{
	return machine->ecam.v && machine->ecam_end_bus == LAST_BUS;
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

static void set_address(u16 bdf, u32 reg)
{
	outl(PCI_ADDRESS_PORT,
	     PCI_ADDRESS_ENABLE | (u32)bdf << 8 | (reg & ADDRESS_REG) | (reg & 0xf00) << 16);
}

u32 arch_pci_read(u16 bdf, u32 reg, u32 size)
{
	set_address(bdf, reg);
	return pci_port_in((u16)(PCI_DATA_PORT + reg % 4), size);
}

void arch_pci_write(u16 bdf, u32 reg, u32 size, u32 value)
{
	set_address(bdf, reg);
	pci_port_out((u16)(PCI_DATA_PORT + reg % 4), size, value);
}
