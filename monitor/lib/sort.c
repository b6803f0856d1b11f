/* SPDX-License-Identifier: BSD-2-Clause */
/* Heapsort: Knuth, The Art of Computer Programming, volume 3, 5.2.3. No memory, no worst case. */
#include "lib/sort.h"
#include "lib/string.h"

struct sort {
	u8 *items;
	u32 size;
	int (*compare)(const void *a, const void *b, const void *arg);
	const void *arg;
};

static int compare_items(const struct sort *s, u32 a, u32 b)
{
	return s->compare(s->items + (size_t)a * s->size, s->items + (size_t)b * s->size, s->arg);
}

static void swap_items(const struct sort *s, u32 a, u32 b)
{
	u8 *x = s->items + (size_t)a * s->size, *y = s->items + (size_t)b * s->size, kept[64];

	for (u32 at = 0, n; at < s->size; at += n) {
		n = MIN(s->size - at, (u32)sizeof(kept));
		memcpy(kept, x + at, n);
		memcpy(x + at, y + at, n);
		memcpy(y + at, kept, n);
	}
}

/* Let the item sink until no item below it is greater. */
static void sink_item(const struct sort *s, u32 at, u32 count)
{
	u32 child;

	while ((child = 2 * at + 1) < count) {
		if (child + 1 < count && compare_items(s, child, child + 1) < 0)
			child++;
		if (compare_items(s, at, child) >= 0)
			return;
		swap_items(s, at, child);
		at = child;
	}
}

static bool is_sorted(const struct sort *s, u32 count)
{
	for (u32 i = 1; i < count; i++)
		if (compare_items(s, i - 1, i) > 0)
			return false;
	return true;
}

void heap_sort(void *items, u32 count, u32 size,
	       int (*compare)(const void *a, const void *b, const void *arg), const void *arg)
{
	const struct sort s = {items, size, compare, arg};

	if (is_sorted(&s, count))
		return;
	for (u32 i = count / 2; i > 0; i--)
		sink_item(&s, i - 1, count);
	for (u32 left = count; left > 1; left--) {
		swap_items(&s, 0, left - 1);
		sink_item(&s, 0, left - 1);
	}
}
