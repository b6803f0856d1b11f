/* SPDX-License-Identifier: BSD-2-Clause */
#include "stage2/idmap.h"
#include "lib/errno.h"

static bool same_kind(const struct idmap_range *r, u64 base, u64 pa, u32 attrs, bool repeat)
{
	if (r->attrs != attrs || r->repeat != repeat)
		return false;
	return repeat ? r->pa == pa : r->pa - r->base == pa - base;
}

int idmap_add(struct idmap *m, u64 base, u64 size, u64 pa, u32 attrs, bool repeat)
{
	u64 start = ALIGN_DOWN(base, PAGE_SIZE), end = ALIGN_UP(base + size, PAGE_SIZE);
	u32 i = 0;

	if (!size)
		return 0;
	pa = ALIGN_DOWN(pa, PAGE_SIZE);
	while (i < m->count && m->ranges[i].end <= start)
		i++;
	if (i < m->count && m->ranges[i].base < end) {
		struct idmap_range *r = &m->ranges[i];

		if (!same_kind(r, start, pa, attrs, repeat))
			return -EEXIST;
		if (i + 1 < m->count && m->ranges[i + 1].base < end)
			return -EEXIST;
		if (start < r->base) {
			r->pa = pa;
			r->base = start;
		}
		r->end = MAX(r->end, end);
		return 0;
	}
	if (m->count == ARRAY_SIZE(m->ranges))
		return -ENOSPC;
	for (u32 j = m->count++; j > i; j--)
		m->ranges[j] = m->ranges[j - 1];
	m->ranges[i] = (struct idmap_range){start, end, pa, attrs, repeat};
	return 0;
}

/*
 * Where memory types change from piece to piece a leaf must not span several (struct pt_format,
 * mixed_below): the end of the piece that `at` is in.
 */
static u64 piece_end(const struct pt_format *f, u64 at, u64 end)
{
	u64 size = at < PT_LEVEL_SIZE(1) ? PT_LEVEL_SIZE(0) : PT_LEVEL_SIZE(1);

	return at < f->mixed_below ? MIN(ALIGN_DOWN(at, size) + size, end) : end;
}

static int map_range(struct pgtable *s, const struct idmap_range *r)
{
	int err = 0;

	for (u64 at = r->base, end; at < r->end && !err; at = end) {
		end = r->repeat ? at + PAGE_SIZE : piece_end(s->format, at, r->end);
		err = pgtable_map(s, IPA(at), PA(r->repeat ? r->pa : r->pa + (at - r->base)),
				  end - at, r->attrs);
	}
	return err;
}

static int map_to_itself(struct pgtable *s, u64 base, u64 end, u32 attrs)
{
	return map_range(s, &(struct idmap_range){base, end, base, attrs, false});
}

int idmap_build(const struct idmap *m, struct pgtable *s, u64 limit, u32 attrs)
{
	u64 at = 0;
	int err = 0;

	for (u32 i = 0; i < m->count && !err; i++) {
		const struct idmap_range *r = &m->ranges[i];

		if (r->end > limit)
			return -EINVAL;
		err = map_to_itself(s, at, r->base, attrs);
		if (!err)
			err = map_range(s, r);
		at = r->end;
	}
	return err ? err : map_to_itself(s, at, limit, attrs);
}
