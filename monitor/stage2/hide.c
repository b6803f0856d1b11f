/* SPDX-License-Identifier: BSD-2-Clause */
#include "stage2/hide.h"
#include "arch/memory.h"
#include "arch/pagetable.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "stage2/idmap.h"

static struct idmap map;

/* A page filled with that byte. */
static void *stand_in_of(u8 byte)
{
	static void *pages[2];
	void **page = &pages[byte != 0];

	if (!*page)
		*page = pgtable_page_alloc(arch_stage2_format());
	if (*page)
		memset(*page, byte, pt_level_size(arch_stage2_format(), 0));
	return *page;
}

static int add_range(u64 base, u64 size, u64 pa, u32 attrs, bool repeat)
{
	map.page_shift = arch_stage2_format()->page_shift;
	return idmap_add(&map, base, size, pa, attrs, repeat);
}

static int hide_range(u64 base, u64 size, u8 byte)
{
	void *page = stand_in_of(byte);

	return page ? add_range(base, size, arch_pa(page).v, PT_READ, true) : -ENOMEM;
}

int hide_memory(u64 base, u64 size)
{
	return hide_range(base, size, 0);
}

int hide_device(u64 base, u64 size)
{
	return hide_range(base, size, 0xff);
}

int hide_from_writes(u64 base, u64 size)
{
	return add_range(base, size, base, PT_READ | PT_DEVICE, false);
}

int hide_replace(u64 base, pa_t pa)
{
	return add_range(base, PAGE_SIZE, pa.v, PT_READ | PT_WRITE | PT_EXEC, false);
}

void hide_each_replaced(void (*fn)(u64 base, u64 end))
{
	for (u32 i = 0; i < map.count; i++)
		if (!map.ranges[i].repeat && map.ranges[i].pa != map.ranges[i].base)
			fn(map.ranges[i].base, map.ranges[i].end);
}

int hide_build(void)
{
	int err = pgtable_init(&stage2, arch_stage2_format());

	if (err)
		return err;
	return idmap_build(&map, &stage2, arch_physical_limit(), PT_READ | PT_WRITE | PT_EXEC);
}

bool hide_covers(ipa_t ipa)
{
	for (u32 i = 0; i < map.count; i++)
		if (map.ranges[i].repeat && ipa.v >= map.ranges[i].base &&
		    ipa.v < map.ranges[i].end)
			return true;
	return false;
}
