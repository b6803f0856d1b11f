/* SPDX-License-Identifier: BSD-2-Clause */
#include "fake.h"
#include "machine.h"
#include "stage2/pt.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

static u8 ram[FAKE_RAM_SIZE] __attribute__((aligned(PAGE_SIZE)));
static u64 next_free; /* in guest RAM */

static void die(const char *what, u64 v)
{
	fprintf(stderr, "fake: %s: 0x%llx\n", what, (unsigned long long)v);
	abort();
}

void *arch_ptr(pa_t pa)
{
	if (pa.v - FAKE_RAM_BASE >= FAKE_RAM_SIZE)
		die("not a physical address of the simulated memory", pa.v);
	return ram + (pa.v - FAKE_RAM_BASE);
}

pa_t arch_pa(const void *p)
{
	if ((const u8 *)p < ram || (const u8 *)p >= ram + FAKE_RAM_SIZE)
		die("not a pointer into the simulated memory", (u64)(uintptr_t)p);
	return PA(FAKE_RAM_BASE + (u64)((const u8 *)p - ram));
}

void fake_memory_reset(void)
{
	/* Faster than writing 64 MiB of zeros before each test. */
	if (madvise(ram, sizeof(ram), MADV_DONTNEED))
		die("madvise failed", 0);
	next_free = 0;
}

ipa_t fake_guest_alloc(u64 size)
{
	u64 at = next_free;

	size = ALIGN_UP(size, PAGE_SIZE);
	if (size > FAKE_GUEST_RAM_SIZE - at)
		die("guest RAM is full; asked for", size);
	next_free += size;
	return IPA(FAKE_RAM_BASE + at);
}

/* ---- guest page tables ---- */

ipa_t fake_tables_new(u32 levels)
{
	(void)levels; /* all tables are one page */
	return fake_guest_alloc(PAGE_SIZE);
}

static void map_one(ipa_t root, const struct pt_format *f, u64 va, u64 pa, u32 attrs,
		    u32 leaf_level)
{
	u64 table_pa = root.v, *entry;
	u32 level;

	for (level = f->top_level;; level--) {
		entry = (u64 *)arch_ptr(PA(table_pa)) + pt_index(f, va, level);
		if (level == leaf_level)
			break;
		if (!f->present(*entry, level))
			*entry = f->make_table(fake_guest_alloc(PAGE_SIZE).v, level);
		else if (f->leaf(*entry, level))
			die("fake_map() below a larger leaf", va);
		table_pa = f->addr(*entry, level);
	}
	*entry = f->make_leaf(pa, level, attrs);
}

void fake_map(ipa_t root, u32 levels, u64 va, ipa_t ipa, u64 size, u32 attrs, u32 leaf_level)
{
	const struct pt_format *f = arch_guest_format(levels);
	u64 step = pt_level_size(f, leaf_level), done;

	if ((va | ipa.v | size) & (step - 1))
		die("fake_map() of an unaligned address", va);
	for (done = 0; done < size; done += step)
		map_one(root, f, va + done, ipa.v + done, attrs, leaf_level);
}

void *fake_map_new(ipa_t root, u32 levels, u64 va, u64 size, u32 attrs)
{
	ipa_t ipa = fake_guest_alloc(size);

	fake_map(root, levels, va, ipa, ALIGN_UP(size, PAGE_SIZE), attrs, 0);
	return arch_ptr(PA(ipa.v));
}
