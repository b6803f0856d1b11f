/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Configuration space through the memory window (PCI Express 5.0, 7.2.2), or, where there is none,
 * ports CF8h and CFCh (PCI 3.0, 3.2.2.3.2). The guest's writes of CF8h are seen, so that it cannot
 * address the NIC. Its data accesses are seen only where the monitor uses the ports too: then CF8h
 * is set anew for each.
 */
#include "arch/device.h"
#include "arch/memory.h"
#include "core/lock.h"
#include "hv.h"
#include "insn.h"
#include "net/nic.h"
#include "pci.h"

#define ADDRESS_ENABLE 0x80000000u
#define COMMAND	       0x04
#define COMMAND_DECODE 3u
#define BAR0	       0x10

static struct {
	struct spinlock lock;
	u32 guest_address;
	u32 nr_windows;
	struct pci_window windows[6];
} pci;

/* ---- the monitor's access ---- */

static volatile u32 *ecam(u16 bdf, u32 reg)
{
	if (!machine->ecam.v || (u32)bdf >> 8 > machine->ecam_end_bus)
		return NULL;
	return arch_ptr(PA(machine->ecam.v + ((u64)bdf << 12) + reg));
}

u32 arch_pci_read(u16 bdf, u32 reg)
{
	volatile u32 *p = ecam(bdf, reg);
	u32 v;

	if (p)
		return *p;
	spin_lock(&pci.lock);
	outl(PCI_ADDRESS_PORT, ADDRESS_ENABLE | (u32)bdf << 8 | (reg & 0xfc));
	v = inl(PCI_DATA_PORT);
	spin_unlock(&pci.lock);
	return v;
}

void arch_pci_write(u16 bdf, u32 reg, u32 value)
{
	volatile u32 *p = ecam(bdf, reg);

	if (p) {
		*p = value;
		return;
	}
	spin_lock(&pci.lock);
	outl(PCI_ADDRESS_PORT, ADDRESS_ENABLE | (u32)bdf << 8 | (reg & 0xfc));
	outl(PCI_DATA_PORT, value);
	spin_unlock(&pci.lock);
}

/* ---- the NIC's windows ---- */

/* Size the BAR at reg (PCI 3.0, 6.2.5.1). Returns how many registers it takes. */
static u32 size_bar(u16 bdf, u32 reg)
{
	u32 low = arch_pci_read(bdf, reg), high = 0;
	bool io = low & 1, wide = !io && (low & 6) == 4;
	u64 base, mask;

	arch_pci_write(bdf, reg, ~0u);
	mask = arch_pci_read(bdf, reg) & (io ? ~3u : ~15u);
	arch_pci_write(bdf, reg, low);
	if (wide) {
		high = arch_pci_read(bdf, reg + 4);
		arch_pci_write(bdf, reg + 4, ~0u);
		mask |= (u64)arch_pci_read(bdf, reg + 4) << 32;
		arch_pci_write(bdf, reg + 4, high);
	} else {
		mask |= 0xffffffff00000000ull | (io ? 0xffff0000u : 0);
	}
	base = (u64)high << 32 | (low & (io ? ~3u : ~15u));
	if (base && (u32)mask & (io ? 0xfffcu : ~15u))
		pci.windows[pci.nr_windows++] = (struct pci_window){io, base, -mask};
	return wide ? 2 : 1;
}

void pci_find_nic_windows(void)
{
	u16 bdf = machine->nic_bdf;
	u32 command;

	pci.nr_windows = 0;
	if (!machine->nic_present)
		return;
	/* While it is sized a BAR decodes at a wrong place. */
	command = arch_pci_read(bdf, COMMAND) & 0xffff;
	arch_pci_write(bdf, COMMAND, command & ~COMMAND_DECODE);
	for (u32 i = 0; i < 6;)
		i += size_bar(bdf, BAR0 + 4 * i);
	arch_pci_write(bdf, COMMAND, command);
}

bool pci_nic_window(u32 i, struct pci_window *w)
{
	if (i >= pci.nr_windows)
		return false;
	*w = pci.windows[i];
	return true;
}

/* All windows of the NIC are mapped uncached at their own address (host.c). */
void *arch_mmio(pa_t pa, u64 size)
{
	(void)size;
	return arch_ptr(pa);
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
	/* Without the enable bit nobody answers at the data port. */
	outl(PCI_ADDRESS_PORT, names_nic(pci.guest_address) ? pci.guest_address & ~ADDRESS_ENABLE
							    : pci.guest_address);
	if (port != PCI_ADDRESS_PORT && in)
		result = port_in(port, size);
	else if (port != PCI_ADDRESS_PORT)
		port_out(port, size, value);
	spin_unlock(&pci.lock);
	return result;
}
