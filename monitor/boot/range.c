/* SPDX-License-Identifier: BSD-2-Clause */
#include "boot/range.h"

bool ranges_add(struct boot_ranges *r, u64 base, u64 size)
{
	if (!size)
		return true;
	if (r->count == ARRAY_SIZE(r->range))
		return false;
	r->range[r->count++] = (struct boot_range){base, size};
	return true;
}

static bool ranges_touch(const struct boot_range *a, const struct boot_range *b)
{
	return a->base < b->base + b->size && b->base < a->base + a->size;
}

/* The part of w from `at` on, up to the first of r: it begins at w or behind one of r. */
static struct boot_range part_from(const struct boot_ranges *r, const struct boot_range *w, u64 at)
{
	struct boot_range part = {at, w->base + w->size - at};

	for (u32 i = 0; i < r->count; i++)
		if (r->range[i].base <= at && at < r->range[i].base + r->range[i].size)
			part.size = 0;
		else if (ranges_touch(&part, &r->range[i]))
			part.size = r->range[i].base - at;
	return part;
}

bool ranges_cut(const struct boot_ranges *r, struct boot_range *w)
{
	struct boot_range best = part_from(r, w, w->base);
	bool cut = false;

	for (u32 i = 0; i < r->count; i++) {
		u64 end = r->range[i].base + r->range[i].size;

		if (!ranges_touch(w, &r->range[i]))
			continue;
		cut = true;
		if (end >= w->base + w->size)
			continue;
		struct boot_range part = part_from(r, w, end);
		if (part.size > best.size)
			best = part;
	}
	if (cut)
		*w = best;
	return cut;
}
