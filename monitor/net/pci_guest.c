/* SPDX-License-Identifier: BSD-2-Clause */
#include "net/pci_guest.h"
#include "net/pci.h"
#include "stage2/hide.h"

static const struct pci_guarded *guarded;

static u64 ecam_size(const struct pci_guarded *g)
{
	return (g->ecam_end_bus + 1ull) << 20;
}

int pci_guest_hide(const struct pci_guarded *g)
{
	u64 base = g->ecam.v, end = base + ecam_size(g), nic = base + ((u64)g->bdf << 12);
	int err;

	guarded = g;
	if (!base)
		return 0;
	err = hide_device(nic, PAGE_SIZE);
	if (!err)
		err = hide_from_writes(base, nic - base);
	return err ? err : hide_from_writes(nic + PAGE_SIZE, end - nic - PAGE_SIZE);
}

bool pci_guest_covers(ipa_t ipa)
{
	return guarded && guarded->ecam.v && ipa.v - guarded->ecam.v < ecam_size(guarded);
}

#define ECAM_BDF(offset) ((u16)((offset) >> 12))
#define ECAM_REG(offset) ((u32)(offset)&0xfff)

void pci_guest_write(ipa_t ipa, u32 size, u32 value)
{
	u64 offset = ipa.v - guarded->ecam.v;
	u16 bdf = ECAM_BDF(offset);
	u32 reg = ECAM_REG(offset);

	if (bdf == guarded->bdf || (reg & 3) + size > 4)
		return;
	pci_lock();
	if (pci_filter_allows(bdf, reg, size, value))
		pci_config_write(bdf, reg, size, value);
	pci_unlock();
}
