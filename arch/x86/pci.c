/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Configuration space through ports CF8h and CFCh (PCI 3.0, 3.2.2.3.2) and in memory. With a
 * management NIC the guest's accesses to CFCh exit, as its writes in memory do: it cannot address
 * the NIC, nor put anything in its place (pci_filter.c). The monitor carries them out in memory.
 * The guest's writes of CF8h, which do not exit, may then come at any time. Where not all of
 * configuration space is in memory the monitor uses the ports: CF8h exits too, and has an address
 * of the monitor's between the accesses.
 */
#include "pci.h"
#include "hv.h"
#include "insn.h"
#include "pci_config.h"
#include "pci_filter.h"

#define ADDRESS_BDF(a)	    ((u16)((a) >> 8))
#define ADDRESS_EXTENDED(a) ((a) >> 16 & 0xf00) /* AMD BKDG, IOCF8: registers from 100h on */
#define ADDRESS_REG	    0xfcu

static u32 guest_address; /* if CF8h exits; with the lock */

static u32 data_port(u16 port, u32 size, bool in, u32 value)
{
	u32 address = pci_is_in_memory() ? inl(PCI_ADDRESS_PORT) : guest_address;
	u32 offset = port - PCI_DATA_PORT;
	u32 reg = ADDRESS_EXTENDED(address) | ((address & ADDRESS_REG) + offset);
	u16 bdf = ADDRESS_BDF(address);

	/* Without the enable bit no device answers. An access beyond the register is of no use. */
	if (!(address & PCI_ADDRESS_ENABLE) || bdf == machine->nic_bdf || offset + size > 4)
		return ~0u;
	if (in)
		return pci_config_read(bdf, reg, size);
	if (pci_guest_may_write(bdf, reg, size, value))
		pci_config_write(bdf, reg, size, value);
	return ~0u;
}

static u32 address_port(u16 port, u32 size, bool in, u32 value)
{
	if (size == 4 && !in)
		guest_address = value;
	else if (size == 4)
		return guest_address;
	else if (in)
		return pci_port_in(port, size);
	else
		pci_port_out(port, size, value);
	return ~0u;
}

u32 pci_guest_port(u16 port, u32 size, bool in, u32 value)
{
	u32 result;

	pci_config_lock();
	if (port < PCI_DATA_PORT)
		result = address_port(port, size, in, value);
	else
		result = data_port(port, size, in, value);
	pci_config_unlock();
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
	pci_config_lock();
	if (pci_guest_may_write(bdf, reg, size, value))
		pci_config_write(bdf, reg, size, value);
	pci_config_unlock();
}
