/* SPDX-License-Identifier: BSD-2-Clause */
/* Making a set of redirects: its arrays and orders. */
#include "core/pool.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "stage2/shadow_set.h"

/* ---- arrays ---- */

void *shadow_push(struct vec *v, size_t size)
{
	if (!v->items || (v->count + 1) * size > v->pages * PAGE_SIZE) {
		size_t pages = v->pages ? 2 * v->pages : 1;
		void *items = pool_alloc(pages);

		if (!items)
			return NULL;
		if (v->items)
			memcpy(items, v->items, v->count * size);
		pool_free(v->items, v->pages);
		v->items = items;
		v->pages = pages;
	}
	return memset((u8 *)v->items + v->count++ * size, 0, size);
}

/* Give back memory that the items do not need, unless there is none for fewer. */
static void vec_shrink(struct vec *v, size_t size)
{
	size_t pages = (v->count * size + PAGE_SIZE - 1) / PAGE_SIZE;
	void *items = pages && pages <= v->pages / 2 ? pool_alloc(pages) : NULL;

	if (pages && !items)
		return;
	if (items)
		memcpy(items, v->items, v->count * size);
	pool_free(v->items, v->pages);
	v->items = items;
	v->pages = pages;
}

static void vec_free(struct vec *v)
{
	pool_free(v->items, v->pages);
	*v = (struct vec){0};
}

void shadow_free(struct shadow_set *s)
{
	vec_free(&s->entries);
	vec_free(&s->pages);
	for (u32 o = 0; o < NR_ORDERS; o++)
		vec_free(&s->orders[o]);
}

/* ---- changing an order ---- */

static int order_push(struct shadow_set *s, enum shadow_order o, u32 number)
{
	u32 *new = shadow_push(&s->orders[o], sizeof(*new));

	if (!new)
		return -ENOMEM;
	*new = number;
	return 0;
}

/* Put the last number to its place: behind those of the same key or address. */
static void order_settle(struct shadow_set *s, enum shadow_order o)
{
	u32 *numbers = s->orders[o].items, last = s->orders[o].count - 1, number = numbers[last];
	u64 value = shadow_value(s, o, last);
	u32 at;

	if (!last || shadow_value(s, o, last - 1) <= value)
		return;
	s->orders[o].count--;
	at = shadow_first(s, o, value + 1);
	s->orders[o].count++;
	memmove(numbers + at + 1, numbers + at, (last - at) * sizeof(*numbers));
	numbers[at] = number;
}

int shadow_order_insert(struct shadow_set *s, enum shadow_order o, u32 number)
{
	int err = order_push(s, o, number);

	if (!err)
		order_settle(s, o);
	return err;
}

int shadow_order_copy(struct shadow_set *to, const struct shadow_set *from, enum shadow_order o)
{
	int err = 0;

	for (u32 i = 0; !err && i < from->orders[o].count; i++) {
		u32 moved = entry_at(from, o, i)->moved, second = order_at(from, o, i) % 2;

		if (moved != SHADOW_GONE)
			err = order_push(to, o, o == BY_PLACE ? 2 * moved + second : moved);
	}
	return err;
}

static void compact_order(struct shadow_set *s, enum shadow_order o)
{
	u32 *numbers = s->orders[o].items, kept = 0;

	for (u32 i = 0; i < s->orders[o].count; i++) {
		u32 moved = entry_at(s, o, i)->moved, second = numbers[i] % 2;

		if (moved != SHADOW_GONE)
			numbers[kept++] = o == BY_PLACE ? 2 * moved + second : moved;
	}
	s->orders[o].count = kept;
	vec_shrink(&s->orders[o], sizeof(*numbers));
}

void shadow_compact(struct shadow_set *s)
{
	u32 count = 0;

	set_for_each_entry (s, e)
		e->moved = e->dead ? SHADOW_GONE : count++;
	for (u32 o = 0; o < NR_ORDERS; o++)
		compact_order(s, o);
	set_for_each_entry (s, e)
		if (!e->dead)
			*entry_of(s, e->moved) = *e;
	s->entries.count = count;
	vec_shrink(&s->entries, sizeof(struct shadow_entry));
}
