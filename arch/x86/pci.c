/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Configuration space through ports CF8h and CFCh (PCI 3.0, 3.2.2.3.2) and in memory. With a management
 * NIC the guest's accesses to the ports exit, as its writes in memory do: it cannot address the NIC, nor
 * put anything in its place (pci_filter.c). The port CF8h has an address of the monitor's between the
 * accesses.
 */
#include "arch/device.h"
#include "arch/memory.h"
#include "core/lock.h"
#include "hv.h"
#include "insn.h"
#include "pci.h"
#include "pci_filter.h"

#define ADDRESS_ENABLE 0x80000000u
#define ADDRESS_REG    0xfcu

static struct {
	struct spinlock lock;
	u32 guest_address;
} pci;

/* ---- the monitor's access ---- */

static void set_address(u16 bdf, u32 reg)
{
	outl(PCI_ADDRESS_PORT, ADDRESS_ENABLE | (u32)bdf << 8 | (reg & ADDRESS_REG));
}

u32 pci_port_read(u16 bdf, u32 reg)
{
	set_address(bdf, reg);
	return inl(PCI_DATA_PORT);
}

void pci_port_write(u16 bdf, u32 reg, u32 value)
{
	set_address(bdf, reg);
	outl(PCI_DATA_PORT, value);
}

u32 arch_pci_read(u16 bdf, u32 reg)
{
	u32 v;

	spin_lock(&pci.lock);
	v = pci_port_read(bdf, reg);
	spin_unlock(&pci.lock);
	return v;
}

void arch_pci_write(u16 bdf, u32 reg, u32 value)
{
	spin_lock(&pci.lock);
	pci_port_write(bdf, reg, value);
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

/* Without the enable bit no device answers at the data port. */
static bool reaches_device(u32 address)
{
	return (address & ADDRESS_ENABLE) && (u16)(address >> 8) != machine->nic_bdf;
}

static u32 data_port(u16 port, u32 size, bool in, u32 value)
{
	u32 address = pci.guest_address, offset = port - PCI_DATA_PORT;
	u16 bdf = (u16)(address >> 8);
	u32 reg = (address & ADDRESS_REG) + offset;

	/* One that goes beyond the register is of no use. */
	if (!reaches_device(address) || offset + size > 4)
		return ~0u;
	if (!in && !pci_guest_may_write(bdf, reg, size, value))
		return ~0u;
	/* with the bits of extended registers (AMD BKDG, IOCF8) */
	outl(PCI_ADDRESS_PORT, address);
	if (in)
		return port_in(port, size);
	port_out(port, size, value);
	return ~0u;
}

static u32 address_port(u16 port, u32 size, bool in, u32 value)
{
	if (size == 4 && !in)
		pci.guest_address = value;
	else if (size == 4)
		return pci.guest_address;
	else if (in)
		return port_in(port, size);
	else
		port_out(port, size, value);
	return ~0u;
}

u32 pci_guest_port(u16 port, u32 size, bool in, u32 value)
{
	u32 result;

	spin_lock(&pci.lock);
	if (port < PCI_DATA_PORT)
		result = address_port(port, size, in, value);
	else
		result = data_port(port, size, in, value);
	spin_unlock(&pci.lock);
	return result;
}

bool pci_covers(ipa_t ipa)
{
	u64 size = (machine->ecam_end_bus + 1ull) << 20;

	return machine->nic_present && machine->ecam.v && ipa.v - machine->ecam.v < size;
}

#define ECAM_BDF(offset) ((u16)((offset) >> 12))
#define ECAM_REG(offset) ((u32)(offset)&0xfff)

static void store(void *at, u32 size, u32 value)
{
	if (size == 1)
		*(volatile u8 *)at = (u8)value;
	else if (size == 2)
		*(volatile u16 *)at = (u16)value;
	else
		*(volatile u32 *)at = value;
}

void pci_guest_write(ipa_t ipa, u32 size, u32 value)
{
	u64 offset = ipa.v - machine->ecam.v;
	u16 bdf = ECAM_BDF(offset);
	u32 reg = ECAM_REG(offset);

	if (bdf == machine->nic_bdf || (reg & 3) + size > 4)
		return;
	spin_lock(&pci.lock);
	if (pci_guest_may_write(bdf, reg, size, value))
		store(arch_ptr(PA(ipa.v)), size, value);
	spin_unlock(&pci.lock);
}
