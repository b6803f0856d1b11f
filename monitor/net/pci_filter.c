/* SPDX-License-Identifier: BSD-2-Clause */
#include "net/pci_filter.h"
#include "core/log.h"
#include "lib/mutate.h"
#include "net/pci.h"

#define PCI_COMMAND 0x04
#define PCI_HEADER  0x0c /* its type in the third byte */
#define PCI_BAR0    0x10
#define BRIDGE_MEM  0x20 /* and the prefetchable window behind it, with its upper halves */
#define BRIDGE_PREF 0x24

#define COMMAND_IO     (1u << 0)
#define COMMAND_MEMORY (1u << 1)
#define HEADER_TYPE(r) ((r) >> 16 & 0x7f)
#define TYPE_DEVICE    0
#define TYPE_BRIDGE    1
#define BAR_IO	       1u
#define BAR_WIDE(low)  (!((low)&BAR_IO) && ((low)&6) == 4)
#define BAR_FLAGS      15u
#define ROM_ENABLE     1u
#define ROM_FLAGS      0x7ffu
#define WINDOW_UNIT    0xfffffu /* a bridge's windows are multiples of 1 MiB */

/*
 * PCIEXBAR of Intel's host bridges (00:00.0): at 60h since the 3 series, at 48h in the 945. What
 * has another value than the ACPI tables is not this register.
 */
#define BRIDGE_BDF     0
#define WINDOW_ENABLE  1u
#define WINDOW_FLAGS   0x3ffffffu
#define WINDOW_UNKNOWN 0u
static const u32 windows[] = {0x60, 0x48};

static struct {
	const struct pci_guarded *guarded;
	u32 window; /* register of the host bridge; WINDOW_UNKNOWN */
} filter;

void pci_filter_init(const struct pci_guarded *guarded)
{
	u64 ecam = guarded->ecam.v;

	filter.guarded = guarded;
	filter.window = WINDOW_UNKNOWN;
	for (u32 i = 0; i < ARRAY_SIZE(windows) && ecam; i++) {
		u32 low = pci_config_read(BRIDGE_BDF, windows[i], 4);
		u64 high = pci_config_read(BRIDGE_BDF, windows[i] + 4, 4);

		if ((low & WINDOW_ENABLE) && (high << 32 | (low & ~WINDOW_FLAGS)) == ecam)
			filter.window = windows[i];
	}
}

static bool hits_nic(u64 base, u64 size)
{
	const struct boot_ranges *memory = filter.guarded->memory;

	for (u32 i = 0; i < memory->count; i++) {
		const struct boot_range *r = &memory->range[i];

		if (base < r->base + r->size && (base > r->base || r->base - base < size))
			return true;
	}
	return false;
}

/* ---- where a function answers ---- */

/* A function's registers, one of them with the value that the guest wants it to have. */
struct function {
	u16 bdf;
	u32 reg, value;
};

static u32 reg_of(const struct function *f, u32 reg)
{
	return reg == f->reg ? f->value : pci_config_read(f->bdf, reg, 4);
}

/* The bits that can be set. The function does not decode meanwhile. */
static u32 mask_of(const struct function *f, u32 reg)
{
	u32 was = pci_config_read(f->bdf, reg, 4), mask;

	pci_config_write(f->bdf, reg, 4, ~0u);
	mask = pci_config_read(f->bdf, reg, 4);
	pci_config_write(f->bdf, reg, 4, was);
	return mask;
}

static bool bar_hits(const struct function *f, u32 reg)
{
	u32 low = reg_of(f, reg);
	u64 mask = mask_of(f, reg) & ~BAR_FLAGS, base = low & ~BAR_FLAGS;

	if ((pci_config_read(f->bdf, reg, 4) & BAR_IO) || !mask)
		return false;
	if (BAR_WIDE(pci_config_read(f->bdf, reg, 4))) {
		mask |= (u64)mask_of(f, reg + 4) << 32;
		base |= (u64)reg_of(f, reg + 4) << 32;
	} else {
		mask |= 0xffffffff00000000ull;
	}
	return hits_nic(base & mask, -mask);
}

static bool rom_hits(const struct function *f, u32 reg)
{
	u32 value = reg_of(f, reg), mask = mask_of(f, reg) & ~ROM_FLAGS;

	return (value & ROM_ENABLE) && mask && hits_nic(value & mask, -mask);
}

static bool window_hits(u64 base, u64 limit)
{
	return base <= limit && hits_nic(base, limit - base + 1);
}

static bool windows_hit(const struct function *f)
{
	u32 mem = reg_of(f, BRIDGE_MEM), pref = reg_of(f, BRIDGE_PREF);
	u64 base_high = 0, limit_high = 0;

	if (pci_config_read(f->bdf, BRIDGE_PREF, 4) & 1) { /* 64 bits */
		base_high = (u64)reg_of(f, BRIDGE_PREF + 4) << 32;
		limit_high = (u64)reg_of(f, BRIDGE_PREF + 8) << 32;
	}
	return window_hits((mem & 0xfff0u) << 16, (mem & 0xfff00000u) | WINDOW_UNIT) ||
	       window_hits(base_high | (pref & 0xfff0u) << 16,
			   limit_high | (pref & 0xfff00000u) | WINDOW_UNIT);
}

static bool function_hits(const struct function *f, u32 type)
{
	u32 bars = type == TYPE_BRIDGE ? 2 : 6, rom = type == TYPE_BRIDGE ? 0x38 : 0x30;
	bool hit = false;

	for (u32 reg = PCI_BAR0; reg < PCI_BAR0 + 4 * bars; reg += 4) {
		hit |= bar_hits(f, reg);
		if (BAR_WIDE(pci_config_read(f->bdf, reg, 4)))
			reg += 4;
	}
	return hit || rom_hits(f, rom) || (type == TYPE_BRIDGE && windows_hit(f));
}

/* ---- the guest's write ---- */

static bool places_something(u32 reg, u32 type)
{
	if (type != TYPE_DEVICE && type != TYPE_BRIDGE)
		return false;
	return reg == PCI_COMMAND || (reg >= PCI_BAR0 && reg < 0x30) ||
	       reg == (type == TYPE_BRIDGE ? 0x38u : 0x30u);
}

static bool takes_nic_s_place(u16 bdf, u32 reg, u32 value)
{
	u32 type = HEADER_TYPE(pci_config_read(bdf, PCI_HEADER, 4));
	struct function f = {bdf, reg, value};
	u32 command = pci_config_read(bdf, PCI_COMMAND, 4) & 0xffff;
	bool hit;

	if (!places_something(reg, type) || !(reg_of(&f, PCI_COMMAND) & COMMAND_MEMORY))
		return false;
	/* Turned on already: nothing else is placed by this write. */
	if (reg == PCI_COMMAND && (command & COMMAND_MEMORY))
		return false;
	pci_config_write(bdf, PCI_COMMAND, 4, command & ~(COMMAND_IO | COMMAND_MEMORY));
	hit = function_hits(&f, type);
	pci_config_write(bdf, PCI_COMMAND, 4, command);
	return hit;
}

bool pci_filter_allows(u16 bdf, u32 reg, u32 size, u32 value)
{
	u32 at = reg & ~3u, shift = (reg & 3) * 8, whole = value;
	const char *what = NULL;

	if (size < 4) {
		u32 mask = ((1u << size * 8) - 1) << shift;

		whole = (pci_config_read(bdf, at, 4) & ~mask) | (value << shift & mask);
	}
	if (filter.window && bdf == BRIDGE_BDF && (at & ~4u) == (filter.window & ~4u))
		what = "moves configuration space";
	else if (at < 0x40 && takes_nic_s_place(bdf, at, whole))
		what = "gives a device the place of the management NIC";
	if (what)
		log_limited(LOG_ACCESS, LOG_ERROR,
			    "a write to PCI %02x:%02x.%x, register %#x, of the guest's is refused: "
			    "it %s",
			    bdf >> 8, bdf >> 3 & 31, bdf & 7, reg, what);
	return !what;
}
