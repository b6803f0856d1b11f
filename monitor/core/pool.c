/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/pool.h"
#include "arch/memory.h"
#include "core/lock.h"
#include "core/log.h"
#include "lib/errno.h"
#include "lib/string.h"

/*
 * One bit a page, set while in use, and one for those that are kept. The bitmaps lie in the first
 * pages of the range itself.
 */
static struct {
	struct spinlock lock;
	u8 *base;
	u8 *map, *kept;
	size_t map_size;
	size_t pages; /* behind the bitmap */
	size_t hint;  /* where the last search ended */
	struct pool_stats stats;
} pool;

static bool in_use(size_t page)
{
	return pool.map[page / 8] & (1u << (page % 8));
}

static void mark_pages(u8 *map, size_t first, size_t count, bool set)
{
	for (size_t i = first; i < first + count; i++) {
		u8 bit = (u8)(1u << (i % 8));

		map[i / 8] = set ? map[i / 8] | bit : map[i / 8] & (u8)~bit;
	}
}

void pool_init(pa_t base, u64 size)
{
	size_t pages = size / PAGE_SIZE;
	size_t map_size = ALIGN_UP(ALIGN_UP(pages, 8) / 8, PAGE_SIZE);

	memset(&pool, 0, sizeof(pool));
	pool.map = arch_ptr(base);
	pool.kept = pool.map + map_size;
	pool.map_size = map_size;
	pool.base = pool.kept + map_size;
	pool.pages = pages - 2 * map_size / PAGE_SIZE;
	pool.stats.total_pages = pool.pages;
	memset(pool.map, 0, 2 * map_size);
}

/* First run of `count` free pages in [from, to), or `to` when there is none. */
static size_t find_run(size_t from, size_t to, size_t count)
{
	size_t run = 0;

	for (size_t i = from; i < to; i++) {
		run = in_use(i) ? 0 : run + 1;
		if (run == count)
			return i + 1 - count;
	}
	return to;
}

void *pool_alloc(size_t count)
{
	void *p = NULL;
	size_t first;

	if (!count || count > pool.pages)
		return NULL;
	spin_lock(&pool.lock);
	first = find_run(pool.hint, pool.pages, count);
	if (first == pool.pages)
		first = find_run(0, pool.pages, count);
	if (first != pool.pages) {
		mark_pages(pool.map, first, count, true);
		pool.hint = first + count;
		pool.stats.used_pages += count;
		pool.stats.peak_pages = MAX(pool.stats.peak_pages, pool.stats.used_pages);
		p = pool.base + first * PAGE_SIZE;
	}
	spin_unlock(&pool.lock);
	if (p)
		memset(p, 0, count * PAGE_SIZE);
	return p;
}

static size_t page_number(const void *p)
{
	return (size_t)((const u8 *)p - pool.base) / PAGE_SIZE;
}

static bool is_within(const void *p, size_t count)
{
	size_t first = page_number(p);

	return (const u8 *)p >= pool.base && count && first < pool.pages &&
	       count <= pool.pages - first;
}

void pool_free(void *p, size_t count)
{
	size_t first;
	bool sane;

	if (!p)
		return;
	first = page_number(p);
	spin_lock(&pool.lock);
	sane = is_within(p, count);
	for (size_t i = first; sane && i < first + count; i++)
		sane = in_use(i);
	if (sane) {
		mark_pages(pool.kept, first, count, false);
		mark_pages(pool.map, first, count, false);
		pool.stats.used_pages -= count;
	}
	spin_unlock(&pool.lock);
	if (!sane)
		log_error("pool: free of %p, %zu pages, that were not allocated; ignored", p,
			  count);
}

/* ---- beginning anew ---- */

void pool_keep_all(void)
{
	memcpy(pool.kept, pool.map, pool.map_size);
}

void pool_keep(void *p, size_t count)
{
	mark_pages(pool.kept, page_number(p), count, true);
}

void pool_restart(void)
{
	memcpy(pool.map, pool.kept, pool.map_size);
	pool.hint = 0;
	pool.stats.used_pages = 0;
	for (size_t i = 0; i < pool.pages; i++)
		pool.stats.used_pages += in_use(i);
}

int pool_claim(const void *p, size_t count)
{
	size_t first = page_number(p);
	bool sane = is_within(p, count);

	for (size_t i = first; sane && i < first + count; i++)
		sane = !in_use(i);
	if (!sane)
		return -EIO;
	mark_pages(pool.map, first, count, true);
	pool.stats.used_pages += count;
	return 0;
}

void pool_stats(struct pool_stats *s)
{
	spin_lock(&pool.lock);
	*s = pool.stats;
	spin_unlock(&pool.lock);
}
