/* SPDX-License-Identifier: BSD-2-Clause */
#include "net/pci.h"
#include "arch/device.h"
#include "arch/memory.h"
#include "arch/service.h"
#include "core/lock.h"
#include "lib/errno.h"

#define PCI_ID	    0x00
#define PCI_COMMAND 0x04 /* status in the upper half: written as zeros, which clears nothing */
#define PCI_BAR0    0x10
#define PCI_CAP_PTR 0x34

#define COMMAND_IO	 (1u << 0)
#define COMMAND_MEMORY	 (1u << 1)
#define COMMAND_MASTER	 (1u << 2)
#define COMMAND_INTX_OFF (1u << 10)
#define STATUS_CAP_LIST	 (1u << 20)

#define CAP_MSI	     0x05
#define MSI_ENABLE   (1u << 16)
#define MSI_MULTIPLE (7u << 20) /* number of messages: one */
#define MSI_64BIT    (1u << 23)
#define MAX_CAPS     48 /* more do not fit into configuration space: the list is a loop */

static struct {
	pa_t ecam;
	u32 end_bus;
} space;

static struct spinlock lock;

/* ---- configuration space ---- */

void pci_init(pa_t ecam, u32 end_bus)
{
	space.ecam = ecam;
	space.end_bus = end_bus;
}

static volatile void *ecam_at(u16 bdf, u32 reg)
{
	if (!space.ecam.v || (u32)bdf >> 8 > space.end_bus)
		return NULL;
	return arch_ptr(PA(space.ecam.v + ((u64)bdf << 12) + reg));
}

static u32 load_sized(const volatile void *at, u32 size)
{
	return size == 1   ? *(const volatile u8 *)at
	       : size == 2 ? *(const volatile u16 *)at
			   : *(const volatile u32 *)at;
}

static void store_sized(volatile void *at, u32 size, u32 value)
{
	if (size == 1)
		*(volatile u8 *)at = (u8)value;
	else if (size == 2)
		*(volatile u16 *)at = (u16)value;
	else
		*(volatile u32 *)at = value;
}

u32 pci_config_read(u16 bdf, u32 reg, u32 size)
{
	const volatile void *at = ecam_at(bdf, reg);

	return at ? load_sized(at, size) : arch_pci_read(bdf, reg, size);
}

void pci_config_write(u16 bdf, u32 reg, u32 size, u32 value)
{
	volatile void *at = ecam_at(bdf, reg);

	if (at)
		store_sized(at, size, value);
	else
		arch_pci_write(bdf, reg, size, value);
}

void pci_lock(void)
{
	spin_lock(&lock);
}

void pci_unlock(void)
{
	spin_unlock(&lock);
}

u32 pci_read(u16 bdf, u32 reg)
{
	u32 value;

	pci_lock();
	value = pci_config_read(bdf, reg, 4);
	pci_unlock();
	return value;
}

void pci_write(u16 bdf, u32 reg, u32 value)
{
	pci_lock();
	pci_config_write(bdf, reg, 4, value);
	pci_unlock();
}

/* ---- devices ---- */

static void set_command(u16 bdf, u32 bits)
{
	u32 command = pci_read(bdf, PCI_COMMAND) & 0xffff;

	command &= ~(COMMAND_MEMORY | COMMAND_MASTER);
	pci_write(bdf, PCI_COMMAND, command | COMMAND_INTX_OFF | bits);
}

/* Size the BAR with index i (6.2.5.1). Returns how many slots it takes. */
static u32 size_bar(struct pci_device *d, u32 i)
{
	u32 reg = PCI_BAR0 + 4 * i;
	u32 low = pci_read(d->bdf, reg), high = 0;
	bool io = low & 1, wide = !io && (low & 6) == 4 && i + 1 < PCI_BARS;
	u32 flags = io ? 3u : 15u;
	u64 mask, base;

	pci_write(d->bdf, reg, ~0u);
	mask = pci_read(d->bdf, reg) & ~flags;
	pci_write(d->bdf, reg, low);
	if (wide) {
		high = pci_read(d->bdf, reg + 4);
		pci_write(d->bdf, reg + 4, ~0u);
		mask |= (u64)pci_read(d->bdf, reg + 4) << 32;
		pci_write(d->bdf, reg + 4, high);
	} else if (mask) {
		/* the upper half of an I/O BAR need not be there */
		mask |= 0xffffffff00000000ull | (io ? 0xffff0000u : 0);
	}
	base = (u64)high << 32 | (low & ~flags);
	if (base && mask)
		d->bar[i] = (struct pci_bar){io, base, -mask};
	return wide ? 2 : 1;
}

static int identify_device(u16 bdf, struct pci_device *d)
{
	u32 id = pci_read(bdf, PCI_ID);

	*d = (struct pci_device){.bdf = bdf, .vendor = (u16)id, .device = (u16)(id >> 16)};
	return id == ~0u || !id ? -ENODEV : 0;
}

static void size_bars(struct pci_device *d)
{
	for (u32 i = 0; i < PCI_BARS;)
		i += size_bar(d, i);
}

int pci_probe(u16 bdf, struct pci_device *d)
{
	int err = identify_device(bdf, d);

	if (err)
		return err;
	pci_disable(d);
	size_bars(d);
	return 0;
}

int pci_look(u16 bdf, struct pci_device *d)
{
	int err = identify_device(bdf, d);
	u32 command;

	if (err)
		return err;
	/* While it is sized a BAR decodes at a wrong address. */
	command = pci_read(bdf, PCI_COMMAND) & 0xffff;
	pci_write(bdf, PCI_COMMAND, command & ~(COMMAND_IO | COMMAND_MEMORY));
	size_bars(d);
	pci_write(bdf, PCI_COMMAND, command);
	return 0;
}

void pci_decode(const struct pci_device *d)
{
	set_command(d->bdf, COMMAND_MEMORY);
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

	if (!(pci_read(d->bdf, PCI_COMMAND) & STATUS_CAP_LIST))
		return 0;
	at = pci_read(d->bdf, PCI_CAP_PTR) & 0xfc;
	for (u32 n = 0; at >= 0x40 && n < MAX_CAPS; n++) {
		u32 head = pci_read(d->bdf, at);

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
	control = pci_read(d->bdf, cap) & ~(MSI_ENABLE | MSI_MULTIPLE);
	if (address >> 32 && !(control & MSI_64BIT))
		return false;
	pci_write(d->bdf, cap, control);
	pci_write(d->bdf, cap + 4, (u32)address);
	if (control & MSI_64BIT)
		pci_write(d->bdf, cap + 8, (u32)(address >> 32));
	data_reg = cap + (control & MSI_64BIT ? 12 : 8);
	pci_write(d->bdf, data_reg, (pci_read(d->bdf, data_reg) & 0xffff0000u) | data);
	pci_write(d->bdf, cap, control | MSI_ENABLE);
	return true;
}
