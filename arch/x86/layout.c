/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the guest sees where: everything at its own address, except what is the monitor's. That
 * reads as zeros (memory) or ones (devices, as nothing answers) from a page that stands in for it,
 * read-only, so that only writes exit.
 */
#include "arch/memory.h"
#include "arch/pagetable.h"
#include "core/pool.h"
#include "hv.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "map.h"
#include "pci.h"

static struct map map;

static int hide(u64 base, u64 size, const void *stand_in)
{
	return map_add(&map, base, size, arch_pa(stand_in).v, PT_READ, true);
}

int layout_stage2(void)
{
	void *zeros = pool_alloc(1), *ones = pool_alloc(1);
	struct pci_window w;
	int err;

	if (!zeros || !ones)
		return -ENOMEM;
	memset(ones, 0xff, PAGE_SIZE);

	err = hide(machine->memory.v, machine->memory_size, zeros);
	if (!err)
		err = hide(machine->trampoline.v, PAGE_SIZE, zeros);
	if (!err && machine->nic_present && machine->ecam.v)
		err = hide(machine->ecam.v + ((u64)machine->nic_bdf << 12), PAGE_SIZE, ones);
	for (u32 i = 0; !err && pci_nic_window(i, &w); i++)
		if (!w.io)
			err = hide(w.base, w.size, ones);
	/* Reads of the local APIC need no exit: only what is written to it does. */
	if (!err)
		err = map_add(&map, machine->local_apic.v, PAGE_SIZE, machine->local_apic.v,
			      PT_READ | PT_DEVICE, false);
	if (!err)
		err = stage2_init(&stage2, arch_stage2_format());
	if (!err)
		err = map_build(&map, &stage2, map_limit(), PT_READ | PT_WRITE | PT_EXEC);
	return err;
}

bool layout_is_hidden(ipa_t ipa)
{
	for (u32 i = 0; i < map.count; i++)
		if (map.ranges[i].repeat && ipa.v >= map.ranges[i].base &&
		    ipa.v < map.ranges[i].end)
			return true;
	return false;
}
