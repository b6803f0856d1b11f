/* SPDX-License-Identifier: BSD-2-Clause */
#include "insn.h"
#include "lib/errno.h"
#include "map.h"

static bool same_kind(const struct map_range *r, u64 base, u64 pa, u32 attrs, bool repeat)
{
	if (r->attrs != attrs || r->repeat != repeat)
		return false;
	return repeat ? r->pa == pa : r->pa - r->base == pa - base;
}

int map_add(struct map *m, u64 base, u64 size, u64 pa, u32 attrs, bool repeat)
{
	u64 start = ALIGN_DOWN(base, PAGE_SIZE), end = ALIGN_UP(base + size, PAGE_SIZE);
	u32 i = 0;

	if (!size)
		return 0;
	pa = ALIGN_DOWN(pa, PAGE_SIZE);
	while (i < m->count && m->ranges[i].end <= start)
		i++;
	if (i < m->count && m->ranges[i].base < end) {
		struct map_range *r = &m->ranges[i];

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
	m->ranges[i] = (struct map_range){start, end, pa, attrs, repeat};
	return 0;
}

/*
 * Where memory types change from piece to piece (fixed MTRRs, the hole for devices below 4 GiB), a
 * leaf must not span several (APM vol. 2, 7.7.1 and 7.8): end of the piece that `at` is in.
 */
static u64 piece_end(u64 at, u64 end)
{
	u64 size = at < PT_LEVEL_SIZE(1) ? PT_LEVEL_SIZE(0) : PT_LEVEL_SIZE(1);

	return at < 1ull << 32 ? MIN(ALIGN_DOWN(at, size) + size, end) : end;
}

static int map_range(struct stage2 *s, const struct map_range *r)
{
	int err = 0;

	for (u64 at = r->base, end; at < r->end && !err; at = end) {
		end = r->repeat ? at + PAGE_SIZE : piece_end(at, r->end);
		err = stage2_map(s, IPA(at), PA(r->repeat ? r->pa : r->pa + (at - r->base)),
				 end - at, r->attrs);
	}
	return err;
}

static int map_to_itself(struct stage2 *s, u64 base, u64 end, u32 attrs)
{
	return map_range(s, &(struct map_range){base, end, base, attrs, false});
}

int map_build(const struct map *m, struct stage2 *s, u64 limit, u32 attrs)
{
	u64 at = 0;
	int err = 0;

	for (u32 i = 0; i < m->count && !err; i++) {
		const struct map_range *r = &m->ranges[i];

		if (r->end > limit)
			return -EINVAL;
		err = map_to_itself(s, at, r->base, attrs);
		if (!err)
			err = map_range(s, r);
		at = r->end;
	}
	return err ? err : map_to_itself(s, at, limit, attrs);
}

u64 map_limit(void)
{
	u32 bits = 36;

	/* APM vol. 3, CPUID Fn8000_0008_EAX[7:0] */
	if (cpuid(0x80000000, 0).eax >= 0x80000008)
		bits = cpuid(0x80000008, 0).eax & 0xff;
	return 1ull << MIN(bits, 48u);
}
