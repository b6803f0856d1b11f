/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A machine that detects each missing publication. It keeps a copy of the published tables and code
 * beside memory, and compares the two.
 */
#include "arch/publish.h"
#include "core/pause.h"
#include "fake.h"
#include "machine.h"
#include "stage2/pgtable.h"
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define MAX_BROKEN 64

/*
 * An entry that was valid: it must not be made valid again before its translations have been
 * invalidated.
 */
struct broken {
	u64 *entry;
	u64 former;
	bool invalidated;
};

/* For each byte of memory its value when it was last published. */
static u8 published[FAKE_RAM_SIZE] __attribute__((aligned(PAGE_SIZE)));

static struct {
	bool on;
	struct broken broken[MAX_BROKEN];
	u32 nr_broken;
	char violation[160];
	char events[1024], returned[1024];
} watch;

void fake_watch_reset(void)
{
	memset(&watch, 0, sizeof(watch));
	madvise(published, sizeof(published), MADV_DONTNEED);
}

static void violate(const char *what, u64 at)
{
	if (!watch.violation[0])
		snprintf(watch.violation, sizeof(watch.violation), "%s (0x%llx)", what,
			 (unsigned long long)at);
}

static void note(const char *event)
{
	size_t len = strlen(watch.events);

	snprintf(watch.events + len, sizeof(watch.events) - len, "%s%s", len ? " " : "", event);
}

const char *fake_events(void)
{
	memcpy(watch.returned, watch.events, sizeof(watch.events));
	watch.events[0] = 0;
	return watch.returned;
}

/* ---- publishing ---- */

static u8 *published_at(const void *p)
{
	return published + (arch_pa(p).v - FAKE_RAM_BASE);
}

static void publish(const void *p, size_t len)
{
	memcpy(published_at(p), p, len);
}

static bool is_published(const void *p, size_t len)
{
	return !memcmp(published_at(p), p, len);
}

void arch_publish_table(const void *table, size_t size)
{
	if (!watch.on)
		return;
	note("publish-table");
	publish(table, size);
}

void arch_publish_code(const void *code, size_t len)
{
	if (!watch.on)
		return;
	note("publish-code");
	publish(code, len);
}

/* ---- entries ---- */

static const struct pt_format *tables(void)
{
	return arch_stage2_format();
}

static bool is_leaf(u64 entry)
{
	return entry && tables()->leaf(entry, fake_entry_level(entry));
}

static bool is_table(u64 entry)
{
	return entry && !is_leaf(entry);
}

static u64 target(u64 entry)
{
	return tables()->addr(entry, fake_entry_level(entry));
}

static struct broken *find_broken(const u64 *entry)
{
	for (u32 i = 0; i < watch.nr_broken; i++)
		if (watch.broken[i].entry == entry)
			return &watch.broken[i];
	return NULL;
}

static void break_entry(u64 *entry)
{
	note("break");
	if (fake_entry_level(*entry) && pause_mark())
		violate("a block is taken from a running guest", target(*entry));
	if (watch.nr_broken < MAX_BROKEN)
		watch.broken[watch.nr_broken++] = (struct broken){entry, *entry, false};
}

/* True if the table has the same translation as the block that it replaces. */
static bool is_split(u64 block, u64 table)
{
	const struct pt_format *f = tables();
	u32 level = fake_entry_level(block) - 1;
	const u64 *entries = arch_ptr(PA(target(table)));

	for (u32 i = 0; i < pt_entries(f, level); i++)
		if (entries[i] != f->make_leaf(target(block) + i * pt_level_size(f, level), level,
					       f->attrs(block, level + 1)))
			return false;
	return true;
}

static bool may_replace(u64 old, u64 new)
{
	return tables()->split == PT_SPLIT_LIVE && is_leaf(old) && is_table(new) &&
	       is_split(old, new);
}

/* Check the code of an executable page that replaces another one. */
static void check_code(u64 former, u64 new)
{
	u64 size = pt_level_size(tables(), 0), pa = target(new);

	if (fake_entry_level(new) || !(tables()->attrs(new, 0) & PT_EXEC) || target(former) == pa)
		return;
	if (!is_published(arch_ptr(PA(pa)), size))
		violate("a leaf leads to code that is not published", pa);
}

static void check_make(u64 *entry, u64 value)
{
	struct broken *b = find_broken(entry);
	u64 former = *entry ? *entry : b ? b->former : 0;

	if (tables()->invalidate && *entry && *entry != value && !may_replace(*entry, value))
		violate("a valid entry takes the place of another", target(value));
	if (tables()->invalidate && b && !b->invalidated)
		violate("an entry is made before the former one is invalidated", target(value));
	if (is_table(value)) {
		note("link");
		if (tables()->split == PT_SPLIT_PAUSED && former && pause_mark())
			violate("a block is split under a running guest", target(value));
		if (!is_published(arch_ptr(PA(target(value))), pt_level_size(tables(), 0)))
			violate("a table is linked before it is published", target(value));
	} else {
		note(*entry ? "change" : "make");
		if (is_leaf(former))
			check_code(former, value);
	}
	if (b)
		*b = watch.broken[--watch.nr_broken];
}

void arch_write_entry(u64 *entry, u64 value)
{
	if (watch.on && value)
		check_make(entry, value);
	else if (watch.on && *entry)
		break_entry(entry);
	__atomic_store_n(entry, value, __ATOMIC_RELEASE);
	if (watch.on)
		publish(entry, sizeof(*entry));
}

/* ---- invalidation ---- */

static int read_entry(void *ctx, u64 table_pa, u32 index, u64 *entry)
{
	u64 *at = (u64 *)arch_ptr(PA(table_pa)) + index;

	*(u64 **)ctx = at;
	*entry = *at;
	return 0;
}

/*
 * The entry at which the walk for addr ends is invalidated: an invalidation by a wrong address
 * affects another entry.
 */
static void invalidate(u64 addr, u64 size)
{
	struct broken *b;
	struct pt_walk w;
	u64 *entry = NULL;

	note("invalidate");
	pt_walk(tables(), stage2.root.v, addr, read_entry, &entry, &w);
	b = find_broken(entry);
	if (b && size >= pt_level_size(tables(), w.level))
		b->invalidated = true;
}

/* ---- the whole ---- */

/*
 * True if the leaf maps a page of the monitor. The guest itself publishes the code in pages with
 * identity mapping.
 */
static bool is_copy(u64 leaf, u64 addr)
{
	u64 pa = target(leaf);

	return pa != addr && pa >= FAKE_POOL_BASE && pa < FAKE_POOL_BASE + FAKE_POOL_SIZE &&
	       (tables()->attrs(leaf, 0) & PT_EXEC);
}

/* addr: the address that the table's first entry translates. */
static void check_tables(const u64 *table, u32 level, u64 addr)
{
	const struct pt_format *f = tables();

	if (!is_published(table, pt_entries(f, level) * sizeof(u64)))
		violate("a table was changed and not published", arch_pa(table).v);
	for (u32 i = 0; i < pt_entries(f, level); i++, addr += pt_level_size(f, level)) {
		if (is_table(table[i]))
			check_tables(arch_ptr(PA(target(table[i]))), level - 1, addr);
		else if (!level && table[i] && is_copy(table[i], addr) &&
			 !is_published(arch_ptr(PA(target(table[i]))), pt_level_size(f, 0)))
			violate("code was changed and not published", target(table[i]));
	}
}

/* Record the present contents as published. */
static void take_tables(const u64 *table, u32 level)
{
	publish(table, pt_entries(tables(), level) * sizeof(u64));
	for (u32 i = 0; level && i < pt_entries(tables(), level); i++)
		if (is_table(table[i]))
			take_tables(arch_ptr(PA(tables()->addr(table[i], level))), level - 1);
}

void fake_stage2_watch(bool break_before_make)
{
	watch.on = true;
	fake_stage2_format()->invalidate = break_before_make ? invalidate : NULL;
	if (stage2.root.v)
		take_tables(arch_ptr(stage2.root), tables()->top_level);
}

const char *fake_violation(void)
{
	if (watch.on && stage2.root.v)
		check_tables(arch_ptr(stage2.root), tables()->top_level, 0);
	return watch.violation;
}
