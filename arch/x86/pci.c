/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Configuration space through ports CF8h and CFCh (PCI 3.0, 3.2.2.3.2). The guest's writes of CF8h
 * exit, so that it cannot address the NIC. Its data accesses exit only if the monitor uses the
 * ports too: then CF8h is written again before each.
 */
#include "arch/device.h"
#include "core/lock.h"
#include "hv.h"
#include "insn.h"
#include "pci.h"

#define ADDRESS_ENABLE 0x80000000u

static struct {
	struct spinlock lock;
	u32 guest_address;
} pci;

/* ---- the monitor's access ---- */

u32 arch_pci_read(u16 bdf, u32 reg)
{
	u32 v;

	spin_lock(&pci.lock);
	outl(PCI_ADDRESS_PORT, ADDRESS_ENABLE | (u32)bdf << 8 | (reg & 0xfc));
	v = inl(PCI_DATA_PORT);
	spin_unlock(&pci.lock);
	return v;
}

void arch_pci_write(u16 bdf, u32 reg, u32 value)
{
	spin_lock(&pci.lock);
	outl(PCI_ADDRESS_PORT, ADDRESS_ENABLE | (u32)bdf << 8 | (reg & 0xfc));
	outl(PCI_DATA_PORT, value);
	spin_unlock(&pci.lock);
}

/* ---- the guest's access ---- */

static u32 port_in(u16 port, u32 size)
{
	return size == 1 ? inb(port) : size == 2 ? inw(port) : inl(port);
}

static void port_out(u16 port, u32 size, u32 value)
{
	if (size == 1)
		outb(port, (u8)value);
	else if (size == 2)
		outw(port, (u16)value);
	else
		outl(port, value);
}

static bool names_nic(u32 address)
{
	return machine->nic_present && (address & ADDRESS_ENABLE) &&
	       (u16)(address >> 8) == machine->nic_bdf;
}

u32 pci_guest_port(u16 port, u32 size, bool in, u32 value)
{
	u32 result = ~0u;

	spin_lock(&pci.lock);
	if (port == PCI_ADDRESS_PORT && size == 4) {
		if (in)
			result = pci.guest_address;
		else
			pci.guest_address = value;
	}
	/* Without the enable bit no device answers at the data port. */
	outl(PCI_ADDRESS_PORT, names_nic(pci.guest_address) ? pci.guest_address & ~ADDRESS_ENABLE
							    : pci.guest_address);
	if (port != PCI_ADDRESS_PORT && in)
		result = port_in(port, size);
	else if (port != PCI_ADDRESS_PORT)
		port_out(port, size, value);
	spin_unlock(&pci.lock);
	return result;
}
