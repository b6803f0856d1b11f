/* SPDX-License-Identifier: BSD-2-Clause */
/* Changes of redirects in force without a plan: drops, and writes of the guest. */
#include "arch/memory.h"
#include "lib/mutate.h"
#include "lib/string.h"
#include "stage2/shadow.h"
#include "stage2/shadow_set.h"

/* Copy the guest's bytes to the shadow page. */
static void copy_original(const struct shadow_page *pg, size_t offset, size_t len)
{
	memcpy(pg->copy + offset, (u8 *)arch_ptr(pg->original) + offset, len);
	if (!MUTATION(publish_restored))
		shadow_publish(pg, offset, len);
}

/* ---- dropping ---- */

/* One piece. */
static void drop_piece(struct shadow_set *s, struct shadow_entry *e)
{
	WRITE_ONCE(e->dead, true);
	for (u32 i = 0; i < nr_parts(&e->r); i++) {
		struct shadow_page *pg = page_of(s, e->page[i]);
		struct part part = part_of(&e->r, i);

		if (pg->live == 1)
			shadow_set_leaf(pg, false);
		else
			copy_original(pg, part.offset, part.len);
		/* At 0 shadow_reap() may free the copy. */
		__atomic_store_n(&pg->live, pg->live - 1, __ATOMIC_RELEASE);
	}
}

static bool is_in_range(const struct redirect *r, u64 start, u64 end)
{
	return (r->key >= start && r->key < end) ||
	       (r->from < end && r->from + r->len - 1 >= start) || (r->to >= start && r->to < end);
}

/* All pieces of the redirect. */
static void drop_redirect(u64 key)
{
	set_for_each_in (shadow.current, BY_KEY, i, key, key + 1) {
		struct shadow_entry *e = entry_at(shadow.current, BY_KEY, i);

		if (!e->dead)
			drop_piece(shadow.current, e);
	}
}

int shadow_drop_range(u64 start, u64 end, void (*dropped)(u64 key, void *arg), void *arg)
{
	int n = 0;

	/*
	 * Also if nothing was dropped: an open plan may add a redirect that leads into the range.
	 */
	__atomic_fetch_add(&shadow.generation, 1, __ATOMIC_RELEASE);
	set_for_each_entry (shadow.current, e) {
		if (e->dead || !is_in_range(&e->r, start, end))
			continue;
		drop_redirect(e->r.key);
		if (dropped)
			dropped(e->r.key, arg);
		n++;
	}
	return n;
}

int shadow_close(void (*dropped)(u64 key, void *arg), void *arg)
{
	WRITE_ONCE(shadow.closed, true);
	return shadow_drop_range(0, UINT64_MAX, dropped, arg);
}

void shadow_open(void)
{
	WRITE_ONCE(shadow.closed, false);
}

void shadow_reap(void)
{
	set_for_each_page (shadow.current, pg) {
		if (__atomic_load_n(&pg->live, __ATOMIC_ACQUIRE))
			continue;
		pgtable_page_free(stage2.format, pg->copy);
		pg->copy = NULL;
	}
}

/* ---- writes ---- */

static struct shadow_page *find_page(const struct shadow_set *s, u64 ipa)
{
	struct shadow_page *pg = shadow_find_page(s, ipa);

	return pg && pg->live ? pg : NULL;
}

bool shadow_lookup(ipa_t ipa, pa_t *original, pa_t *copy)
{
	struct shadow_page *pg = find_page(shadow.current, ipa.v);

	if (!pg)
		return false;
	*original = pg->original;
	*copy = arch_pa(pg->copy);
	return true;
}

static bool point_leaf(ipa_t ipa, bool shadowed)
{
	struct shadow_page *pg = find_page(shadow.current, ipa.v);

	if (pg)
		shadow_set_leaf(pg, shadowed);
	return pg;
}

bool shadow_expose(ipa_t ipa)
{
	return point_leaf(ipa, false);
}

bool shadow_cover(ipa_t ipa)
{
	return point_leaf(ipa, true);
}

void shadow_for_each_page(void (*fn)(ipa_t page))
{
	set_for_each_page (shadow.current, pg)
		if (pg->live)
			fn(pg->ipa);
}

/*
 * True if the guest's memory holds, unit for unit, either what was there before the redirect or
 * what the redirect has there, which the guest reads: then the guest has written back what it read
 * (disarming a breakpoint, say). Anything else is new code of the guest.
 */
static bool is_written_back(const struct shadow_entry *e)
{
	size_t unit = shadow_unit();

	for (u32 i = 0; i < nr_parts(&e->r); i++) {
		struct part part = part_of(&e->r, i);
		const u8 *original = shadow_original(e, i, &part);

		for (size_t k = 0; k < part.len; k += unit)
			if (memcmp(original + k, e->r.old + part.at + k, unit) &&
			    memcmp(original + k, e->r.bytes + part.at + k, unit))
				return false;
	}
	return true;
}

/* After a guest write that touched redirect e. */
static void settle_owned(const struct shadow_entry *e)
{
	bool restore = !shadow_hides(&e->r) && is_written_back(e);

	for (u32 i = 0; i < nr_parts(&e->r); i++) {
		struct part part = part_of(&e->r, i);
		struct shadow_page *pg = page_of(shadow.current, e->page[i]);
		u8 *original = shadow_original(e, i, &part);

		if (restore)
			memcpy(original, e->r.old + part.at, part.len);
		shadow_lay(pg->copy + part.offset, original, &e->r, &part);
		if (!MUTATION(publish_settled))
			shadow_publish(pg, part.offset, part.len);
	}
}

/* A guest write to [at, at + len) of one page. */
static void settle_redirects(u64 at, size_t len)
{
	const struct shadow_set *s = shadow.current;

	set_for_each_in (s, BY_PLACE, i, shadow_reach(at), at + len) {
		struct shadow_entry *e = entry_at(s, BY_PLACE, i);
		struct part part = part_of(&e->r, order_at(s, BY_PLACE, i) % 2);

		if (!e->dead && part.ipa + part.offset + part.len > at)
			settle_owned(e);
	}
}

bool shadow_write_through(ipa_t ipa, size_t len)
{
	bool shadowed = false;

	while (len) {
		size_t size = shadow_page_size(), offset = ipa.v % size,
		       n = MIN(len, size - offset);
		struct shadow_page *pg = find_page(shadow.current, ipa.v);

		if (pg) {
			shadowed = true;
			copy_original(pg, offset, n);
			settle_redirects(ipa.v, n);
		}
		ipa.v += n;
		len -= n;
	}
	return shadowed;
}
