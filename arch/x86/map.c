/* SPDX-License-Identifier: BSD-2-Clause */
#include "map.h"
#include "insn.h"
#include "core/errno.h"

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

static int map_range(struct stage2 *s, const struct map_range *r)
{
	int err = 0;

	if (!r->repeat)
		return stage2_map(s, IPA(r->base), PA(r->pa), r->end - r->base, r->attrs);
	for (u64 at = r->base; at < r->end && !err; at += PAGE_SIZE)
		err = stage2_map(s, IPA(at), PA(r->pa), PAGE_SIZE, r->attrs);
	return err;
}

int map_build(const struct map *m, struct stage2 *s, u64 limit, u32 attrs)
{
	u64 at = 0;
	int err = 0;

	for (u32 i = 0; i < m->count && !err; i++) {
		const struct map_range *r = &m->ranges[i];

		if (r->end > limit)
			return -EINVAL;
		if (r->base > at)
			err = stage2_map(s, IPA(at), PA(at), r->base - at, attrs);
		if (!err)
			err = map_range(s, r);
		at = r->end;
	}
	if (!err && at < limit)
		err = stage2_map(s, IPA(at), PA(at), limit - at, attrs);
	return err;
}

u64 map_limit(void)
{
	u32 bits = 36;

	/* APM vol. 3, CPUID Fn8000_0008_EAX[7:0] */
	if (cpuid(0x80000000, 0).eax >= 0x80000008)
		bits = cpuid(0x80000008, 0).eax & 0xff;
	return 1ull << MIN(bits, 48u);
}
