/* SPDX-License-Identifier: BSD-2-Clause */
/* The little of PCI that a NIC driver needs (PCI Local Bus Specification 3.0, chapter 6). */
#include "arch/device.h"
#include "arch/service.h"
#include "lib/errno.h"
#include "net/nic.h"

#define PCI_ID	    0x00
#define PCI_COMMAND 0x04 /* status in the upper half: written as zeros, which clears nothing */
#define PCI_BAR0    0x10
#define PCI_CAP_PTR 0x34

#define COMMAND_MEMORY	 (1u << 1)
#define COMMAND_MASTER	 (1u << 2)
#define COMMAND_INTX_OFF (1u << 10)
#define STATUS_CAP_LIST	 (1u << 20)

#define CAP_MSI	     0x05
#define MSI_ENABLE   (1u << 16)
#define MSI_MULTIPLE (7u << 20) /* how many messages we grant: one */
#define MSI_64BIT    (1u << 23)
#define MAX_CAPS     48 /* more do not fit into configuration space: the list is a loop */

static void set_command(u16 bdf, u32 bits)
{
	u32 command = arch_pci_read(bdf, PCI_COMMAND) & 0xffff;

	command &= ~(COMMAND_MEMORY | COMMAND_MASTER);
	arch_pci_write(bdf, PCI_COMMAND, command | COMMAND_INTX_OFF | bits);
}

/* Size the memory BAR with index i (6.2.5.1). Returns how many slots it takes. */
static u32 probe_bar(struct pci_device *d, u32 i)
{
	u32 reg = PCI_BAR0 + 4 * i;
	u32 low = arch_pci_read(d->bdf, reg), high = 0;
	bool wide = (low & 6) == 4 && i < 5;
	u64 mask;

	if (low & 1)
		return 1; /* I/O ports */
	arch_pci_write(d->bdf, reg, ~0u);
	mask = arch_pci_read(d->bdf, reg) & ~0xfu;
	arch_pci_write(d->bdf, reg, low);
	if (wide) {
		high = arch_pci_read(d->bdf, reg + 4);
		arch_pci_write(d->bdf, reg + 4, ~0u);
		mask |= (u64)arch_pci_read(d->bdf, reg + 4) << 32;
		arch_pci_write(d->bdf, reg + 4, high);
	} else {
		mask |= mask ? 0xffffffff00000000ull : 0;
	}
	d->bar[i] = (u64)high << 32 | (low & ~0xfu);
	d->bar_size[i] = d->bar[i] ? -mask : 0;
	return wide ? 2 : 1;
}

int pci_probe(u16 bdf, struct pci_device *d)
{
	u32 id = arch_pci_read(bdf, PCI_ID);

	*d = (struct pci_device){.bdf = bdf, .vendor = (u16)id, .device = (u16)(id >> 16)};
	if (id == ~0u || !id)
		return -ENODEV;
	pci_disable(d);
	for (u32 i = 0; i < ARRAY_SIZE(d->bar);)
		i += probe_bar(d, i);
	return 0;
}

void pci_enable(const struct pci_device *d)
{
	set_command(d->bdf, COMMAND_MEMORY | COMMAND_MASTER);
}

void pci_disable(const struct pci_device *d)
{
	set_command(d->bdf, 0);
}

static u32 find_capability(const struct pci_device *d, u8 id)
{
	u32 at = 0;

	if (!(arch_pci_read(d->bdf, PCI_COMMAND) & STATUS_CAP_LIST))
		return 0;
	at = arch_pci_read(d->bdf, PCI_CAP_PTR) & 0xfc;
	for (u32 n = 0; at >= 0x40 && n < MAX_CAPS; n++) {
		u32 head = arch_pci_read(d->bdf, at);

		if ((head & 0xff) == id)
			return at;
		at = head >> 8 & 0xfc;
	}
	return 0;
}

bool pci_enable_msi(const struct pci_device *d)
{
	u32 cap = find_capability(d, CAP_MSI), control, data, data_reg;
	u64 address;

	if (!cap || !arch_service_msi(&address, &data))
		return false;
	control = arch_pci_read(d->bdf, cap) & ~(MSI_ENABLE | MSI_MULTIPLE);
	if (address >> 32 && !(control & MSI_64BIT))
		return false;
	arch_pci_write(d->bdf, cap, control);
	arch_pci_write(d->bdf, cap + 4, (u32)address);
	if (control & MSI_64BIT)
		arch_pci_write(d->bdf, cap + 8, (u32)(address >> 32));
	data_reg = cap + (control & MSI_64BIT ? 12 : 8);
	arch_pci_write(d->bdf, data_reg, (arch_pci_read(d->bdf, data_reg) & 0xffff0000u) | data);
	arch_pci_write(d->bdf, cap, control | MSI_ENABLE);
	return true;
}
