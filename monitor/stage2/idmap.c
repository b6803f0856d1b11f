/* SPDX-License-Identifier: BSD-2-Clause */
#include "stage2/idmap.h"
#include "lib/errno.h"
#include "lib/mutate.h"

static bool same_kind(const struct idmap_range *r, u64 base, u64 pa, u32 attrs, bool repeat)
{
	if (r->attrs != attrs || r->repeat != repeat)
		return false;
	return repeat ? r->pa == pa : r->pa - r->base == pa - base;
}

int idmap_add(struct idmap *m, u64 base, u64 size, u64 pa, u32 attrs, bool repeat)
{
	u64 page = 1ull << (m->page_shift ? m->page_shift : PAGE_SHIFT);
	u64 start = ALIGN_DOWN(base, page), end = ALIGN_UP(base + size, page);
	u32 i = 0;

	if (!size)
		return 0;
	pa = ALIGN_DOWN(pa, page);
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
 * Map the range's memory from `at` to *end, or to the address where its memory type may change;
 * *end is set to the end of what was mapped.
 */
static int map_piece(struct pgtable *s, const struct idmap_range *r, u64 at, u64 *end)
{
	u64 pa = r->pa + (at - r->base), type_end = UINT64_MAX;
	u32 type = s->format->memory_type && !MUTATION(memory_types)
			   ? s->format->memory_type(pa, &type_end)
			   : 0;

	*end = at + MIN(type_end - pa, *end - at);
	return pgtable_map(s, IPA(at), PA(pa), *end - at, r->attrs | type);
}

static int map_range(struct pgtable *s, const struct idmap_range *r)
{
	u64 page = pt_level_size(s->format, 0);
	int err = 0;

	for (u64 at = r->base, end; at < r->end && !err; at = end) {
		end = r->repeat ? at + page : r->end;
		err = r->repeat ? pgtable_map(s, IPA(at), PA(r->pa), page, r->attrs)
				: map_piece(s, r, at, &end);
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
