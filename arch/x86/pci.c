/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Configuration space through ports CF8h and CFCh (PCI 3.0, 3.2.2.3.2) and in memory. With a management
 * NIC the guest's accesses to CFCh exit, as its writes in memory do: it cannot address the NIC, nor put
 * anything in its place (pci_filter.c). The monitor carries them out in memory. The guest's writes of
 * CF8h, which do not exit, may then come at any time. Where not all of configuration space is in memory
 * the monitor uses the ports: CF8h exits too, and has an address of the monitor's between the accesses.
 */
#include "pci.h"
#include "arch/device.h"
#include "arch/memory.h"
#include "core/lock.h"
#include "hv.h"
#include "insn.h"
#include "pci_filter.h"

#define ADDRESS_ENABLE	    0x80000000u
#define ADDRESS_BDF(a)	    ((u16)((a) >> 8))
#define ADDRESS_EXTENDED(a) ((a) >> 16 & 0xf00) /* AMD BKDG, IOCF8: registers from 100h on */
#define ADDRESS_REG	    0xfcu
#define LAST_BUS	    255

static struct {
	struct spinlock lock;
	u32 guest_address; /* if CF8h exits */
} pci;

bool pci_is_in_memory(void)
{
	return machine->ecam.v && machine->ecam_end_bus == LAST_BUS;
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

static volatile void *memory_at(u16 bdf, u32 reg)
{
	return arch_ptr(PA(machine->ecam.v + ((u64)bdf << 12) + reg));
}

static void set_address(u16 bdf, u32 reg)
{
	outl(PCI_ADDRESS_PORT, ADDRESS_ENABLE | (u32)bdf << 8 | (reg & ADDRESS_REG) |
				       (reg & 0xf00) << 16);
}

static u32 read_config(u16 bdf, u32 reg, u32 size)
{
	if (pci_is_in_memory())
		return load(memory_at(bdf, reg), size);
	set_address(bdf, reg);
	return port_in((u16)(PCI_DATA_PORT + reg % 4), size);
}

static void write_config(u16 bdf, u32 reg, u32 size, u32 value)
{
	if (pci_is_in_memory()) {
		store(memory_at(bdf, reg), size, value);
		return;
	}
	set_address(bdf, reg);
	port_out((u16)(PCI_DATA_PORT + reg % 4), size, value);
}

/* ---- the monitor's access ---- */

u32 pci_config_read(u16 bdf, u32 reg)
{
	return read_config(bdf, reg, 4);
}

void pci_config_write(u16 bdf, u32 reg, u32 value)
{
	write_config(bdf, reg, 4, value);
}

u32 arch_pci_read(u16 bdf, u32 reg)
{
	u32 v;

	spin_lock(&pci.lock);
	v = read_config(bdf, reg & ADDRESS_REG, 4);
	spin_unlock(&pci.lock);
	return v;
}

void arch_pci_write(u16 bdf, u32 reg, u32 value)
{
	spin_lock(&pci.lock);
	write_config(bdf, reg & ADDRESS_REG, 4, value);
	spin_unlock(&pci.lock);
}

/* ---- the guest's access ---- */

static u32 data_port(u16 port, u32 size, bool in, u32 value)
{
	u32 address = pci_is_in_memory() ? inl(PCI_ADDRESS_PORT) : pci.guest_address;
	u32 offset = port - PCI_DATA_PORT;
	u32 reg = ADDRESS_EXTENDED(address) | ((address & ADDRESS_REG) + offset);
	u16 bdf = ADDRESS_BDF(address);

	/* Without the enable bit no device answers. An access beyond the register is of no use. */
	if (!(address & ADDRESS_ENABLE) || bdf == machine->nic_bdf || offset + size > 4)
		return ~0u;
	if (in)
		return read_config(bdf, reg, size);
	if (pci_guest_may_write(bdf, reg, size, value))
		write_config(bdf, reg, size, value);
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

void pci_guest_write(ipa_t ipa, u32 size, u32 value)
{
	u64 offset = ipa.v - machine->ecam.v;
	u16 bdf = ECAM_BDF(offset);
	u32 reg = ECAM_REG(offset);

	if (bdf == machine->nic_bdf || (reg & 3) + size > 4)
		return;
	spin_lock(&pci.lock);
	if (pci_guest_may_write(bdf, reg, size, value))
		store(memory_at(bdf, reg), size, value);
	spin_unlock(&pci.lock);
}
