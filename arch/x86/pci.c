/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Configuration space through ports CF8h and CFCh (PCI 3.0, 3.2.2.3.2). With a management NIC the
 * guest's accesses to CFCh exit, as its writes in memory do (net/pci_guest.h): it cannot address
 * the NIC, nor put anything in its place. The monitor carries them out in memory.
 * The guest's writes of CF8h, which do not exit, may then come at any time. Where not all of
 * configuration space is in memory the monitor uses the ports: CF8h exits too, and has an address
 * of the monitor's between the accesses.
 */
#include "pci.h"
#include "hv.h"
#include "insn.h"
#include "net/pci.h"
#include "net/pci_filter.h"
#include "pci_config.h"

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
	if (pci_filter_allows(bdf, reg, size, value))
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

	pci_lock();
	if (port < PCI_DATA_PORT)
		result = address_port(port, size, in, value);
	else
		result = data_port(port, size, in, value);
	pci_unlock();
	return result;
}
