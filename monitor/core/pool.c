/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/pool.h"
#include "arch/memory.h"
#include "core/lock.h"
#include "core/log.h"
#include "lib/string.h"

/* One bit a page, set while in use. The bitmap lies in the first pages of the range itself. */
static struct {
	struct spinlock lock;
	u8 *base;
	u8 *map;
	size_t pages; /* behind the bitmap */
	size_t hint;  /* where the last search ended */
	struct pool_stats stats;
} pool;

static bool in_use(size_t page)
{
	return pool.map[page / 8] & (1u << (page % 8));
}

static void mark_pages(size_t first, size_t count, bool used)
{
	for (size_t i = first; i < first + count; i++) {
		u8 bit = (u8)(1u << (i % 8));

		pool.map[i / 8] = used ? pool.map[i / 8] | bit : pool.map[i / 8] & (u8)~bit;
	}
}

void pool_init(pa_t base, u64 size)
{
	size_t pages = size / PAGE_SIZE;
	size_t map_pages = ALIGN_UP(ALIGN_UP(pages, 8) / 8, PAGE_SIZE) / PAGE_SIZE;

	memset(&pool, 0, sizeof(pool));
	pool.map = arch_ptr(base);
	pool.base = pool.map + map_pages * PAGE_SIZE;
	pool.pages = pages - map_pages;
	pool.stats.total_pages = pool.pages;
	memset(pool.map, 0, map_pages * PAGE_SIZE);
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
		mark_pages(first, count, true);
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

void pool_free(void *p, size_t count)
{
	size_t first;
	bool sane;

	if (!p)
		return;
	first = (size_t)((u8 *)p - pool.base) / PAGE_SIZE;
	spin_lock(&pool.lock);
	sane = (u8 *)p >= pool.base && count && first < pool.pages && count <= pool.pages - first;
	for (size_t i = first; sane && i < first + count; i++)
		sane = in_use(i);
	if (sane) {
		mark_pages(first, count, false);
		pool.stats.used_pages -= count;
	}
	spin_unlock(&pool.lock);
	if (!sane)
		log_error("pool: free of %p, %zu pages, that were not allocated; ignored", p,
			  count);
}

void pool_stats(struct pool_stats *s)
{
	spin_lock(&pool.lock);
	*s = pool.stats;
	spin_unlock(&pool.lock);
}
