/* SPDX-License-Identifier: BSD-2-Clause */
#include "core/checkpoint.h"
#include "core/pool.h"
#include "lib/errno.h"
#include "lib/mutate.h"
#include "lib/string.h"

enum kind {
	BLOCK_FREE, /* an entry without a block */
	BLOCK_TWIN,
	BLOCK_ADOPTED, /* without a copy */
	BLOCK_STATIC,  /* a variable: not of the pool */
};

struct block {
	u32 kind;    /* written last when a block is made, and first when it ends */
	bool fresh;  /* since the last checkpoint */
	bool doomed; /* freed since then */
	u8 *live, *twin;
	size_t size;
	u64 sum; /* of the twin */
};

struct table {
	size_t pages;
	u32 count, room;
	struct block blocks[];
};

/*
 * While `copying` is false the twins are consistent, and may be restored; while it is true the live
 * blocks are, and the copying may be begun again.
 */
static struct {
	struct table *table; /* replaced by one store */
	bool copying;
	struct checkpoint_stats stats;
} point;

#define for_each_block(b)                                                                          \
	for (struct block *b = point.table ? point.table->blocks : NULL;                           \
	     b && b < point.table->blocks + point.table->count; b++)                               \
		if (b->kind != BLOCK_FREE)

static size_t pages_of(size_t size)
{
	return ALIGN_UP(size, PAGE_SIZE) / PAGE_SIZE;
}

/* ---- the table ---- */

static int grow_table(void)
{
	struct table *old = point.table, *new;
	size_t pages = old ? 2 * old->pages : 1;

	new = pool_alloc(pages);
	if (!new)
		return -ENOMEM;
	if (old)
		memcpy(new, old, old->pages * PAGE_SIZE);
	new->pages = pages;
	new->room = (u32)((pages * PAGE_SIZE - sizeof(*new)) / sizeof(struct block));
	__atomic_store_n(&point.table, new, __ATOMIC_RELEASE);
	if (old)
		pool_free(old, old->pages);
	return 0;
}

/* An entry of the kind BLOCK_FREE; NULL when memory is out. */
static struct block *find_entry(void)
{
	struct table *t = point.table;

	for (u32 i = 0; t && i < t->count; i++)
		if (t->blocks[i].kind == BLOCK_FREE)
			return &t->blocks[i];
	if ((!t || t->count == t->room) && grow_table())
		return NULL;
	t = point.table;
	t->blocks[t->count].kind = BLOCK_FREE;
	return &t->blocks[t->count++];
}

static int add_block(enum kind kind, void *live, void *twin, size_t size)
{
	struct block *b = find_entry();

	if (!b)
		return -ENOMEM;
	b->live = live;
	b->twin = twin;
	b->size = size;
	b->doomed = false;
	b->fresh = true;
	__atomic_store_n(&b->kind, kind, __ATOMIC_RELEASE);
	return 0;
}

static void end_block(struct block *b)
{
	u8 *live = b->kind == BLOCK_STATIC ? NULL : b->live;

	__atomic_store_n(&b->kind, BLOCK_FREE, __ATOMIC_RELEASE);
	pool_free(live, pages_of(b->size));
	pool_free(b->twin, pages_of(b->size));
}

/* ---- blocks ---- */

void *checkpoint_alloc(size_t pages)
{
	u8 *live = pool_alloc(pages), *twin = live ? pool_alloc(pages) : NULL;

	if (twin && !add_block(BLOCK_TWIN, live, twin, pages * PAGE_SIZE))
		return live;
	pool_free(twin, pages);
	pool_free(live, pages);
	return NULL;
}

int checkpoint_adopt(void *p, size_t pages)
{
	return add_block(BLOCK_ADOPTED, p, NULL, pages * PAGE_SIZE);
}

int checkpoint_static(void *p, size_t size)
{
	u8 *twin = pool_alloc(pages_of(size));
	int err = twin ? add_block(BLOCK_STATIC, p, twin, size) : -ENOMEM;

	if (err)
		pool_free(twin, pages_of(size));
	return err;
}

void checkpoint_free(void *p, size_t pages)
{
	for_each_block(b)
	{
		if (b->live != p || b->doomed)
			continue;
		if (b->fresh)
			end_block(b);
		else
			b->doomed = true;
		return;
	}
	/* None of the blocks: pool_free() says if it is none of the pool's either. */
	pool_free(p, pages);
}

/* ---- copies ---- */

/* FNV-1a, by words. */
static u64 sum_of(const u8 *p, size_t size)
{
	u64 sum = 0xcbf29ce484222325ull;

	for (const u64 *w = (const u64 *)p; w < (const u64 *)(p + size); w++)
		sum = (sum ^ *w) * 0x100000001b3ull;
	return sum;
}

static bool has_changed(const u8 *a, const u8 *b, size_t size)
{
	const u64 *x = (const u64 *)a, *y = (const u64 *)b;

	for (size_t i = 0; i < size / sizeof(*x); i++)
		if (x[i] != y[i])
			return true;
	return false;
}

/* Returns how many pages were different. */
static u64 copy_changes(u8 *to, const u8 *from, size_t size)
{
	u64 changed = 0;

	for (size_t at = 0; at < size; at += PAGE_SIZE) {
		size_t n = MIN(size - at, PAGE_SIZE);

		if (!has_changed(to + at, from + at, n))
			continue;
		memcpy(to + at, from + at, n);
		changed++;
	}
	return changed;
}

static void take_block(struct block *b)
{
	if (b->twin && (copy_changes(b->twin, b->live, b->size) || b->fresh))
		b->sum = sum_of(b->twin, b->size);
	b->fresh = false;
}

void checkpoint_take(void)
{
	__atomic_store_n(&point.copying, true, __ATOMIC_SEQ_CST);
	for_each_block(b)
	{
		if (b->doomed)
			end_block(b);
		else
			take_block(b);
	}
	__atomic_store_n(&point.copying, false, __ATOMIC_SEQ_CST);
	point.stats.taken++;
}

/* ---- beginning anew ---- */

static int claim_block(const struct block *b)
{
	int err = b->kind == BLOCK_STATIC ? 0 : pool_claim(b->live, pages_of(b->size));

	return err || !b->twin ? err : pool_claim(b->twin, pages_of(b->size));
}

static int restore_block(struct block *b)
{
	if (point.copying)
		b->fresh = true;
	b->doomed = false;
	if (!b->twin || MUTATION(restored_blocks))
		return 0;
	if (point.copying)
		take_block(b);
	else if (sum_of(b->twin, b->size) != b->sum)
		return -EIO;
	else
		point.stats.restored_pages += copy_changes(b->live, b->twin, b->size);
	return 0;
}

int checkpoint_restore(void)
{
	int err = point.table ? pool_claim(point.table, point.table->pages) : 0;

	point.stats.restored_pages = 0;
	for_each_block(b)
	{
		if (err)
			break;
		if (point.copying ? b->doomed : b->fresh) {
			b->kind = BLOCK_FREE;
			continue;
		}
		err = claim_block(b);
		if (!err)
			err = restore_block(b);
	}
	if (!err)
		__atomic_store_n(&point.copying, false, __ATOMIC_SEQ_CST);
	return err;
}

void checkpoint_forget(void)
{
	memset(&point, 0, sizeof(point));
}

void checkpoint_stats(struct checkpoint_stats *s)
{
	*s = point.stats;
	for_each_block(b)
	{
		s->blocks++;
		s->bytes += b->size;
	}
}
