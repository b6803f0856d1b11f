/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The redirects in force and the pages that carry them make up a set. A plan builds the next set
 * beside the current one; applying it points the leaves at the new copies and makes that set the
 * current one. Any CPU can do that, and more than once.
 *
 * There is no lock. A current set changes only in a pause (apply, drop, write-through), and guest
 * CPUs read it only outside of one. The service CPU, which a pause does not hold, only reads it: a
 * drop marks entries and never moves them, and increments the generation, by which a plan notices
 * that the set from which it was built has changed.
 */
#include "stage2/shadow.h"
#include "arch/memory.h"
#include "core/pool.h"
#include "lib/errno.h"
#include "lib/mutate.h"
#include "lib/string.h"
#include "stage2/shadow_set.h"
#include "stage2/split.h"

struct shadow_plan {
	struct shadow_set *former, *next;
	struct vec removed; /* indices (u32) of entries of the former set */
	u64 obstacle;	    /* of the last fill */
	u64 generation;
	bool open, prepared, filled;
};

static struct shadow_plan the_plan;

/* ---- arrays ---- */

/*
 * Append a zeroed item; NULL when memory is out. May move the array: pointers into it become
 * invalid.
 */
static void *vec_push(struct vec *v, size_t size)
{
	if ((v->count + 1) * size > v->pages * PAGE_SIZE) {
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

static void vec_free(struct vec *v)
{
	pool_free(v->items, v->pages);
	*v = (struct vec){0};
}

static void set_free(struct shadow_set *s)
{
	vec_free(&s->entries);
	vec_free(&s->pages);
}

/* ---- redirects ---- */

static bool redirects_overlap(const struct redirect *a, const struct redirect *b)
{
	for (u32 i = 0; i < nr_parts(a); i++) {
		struct part pa = part_of(a, i);

		for (u32 j = 0; j < nr_parts(b); j++) {
			struct part pb = part_of(b, j);

			if (parts_overlap(&pa, &pb))
				return true;
		}
	}
	return false;
}

static bool well_formed(const struct redirect *r)
{
	if (!r->len || r->len > REDIRECT_MAX || (r->ipa.v ^ r->from) % PAGE_SIZE ||
	    (r->from | r->len) % shadow_unit())
		return false;
	return nr_parts(r) == 1 ||
	       (r->ipa2.v % PAGE_SIZE == 0 && r->ipa2.v != ALIGN_DOWN(r->ipa.v, PAGE_SIZE));
}

/* ---- a plan, before the pause ---- */

struct shadow_plan *shadow_plan_begin(void)
{
	struct shadow_plan *p = &the_plan;
	struct shadow_entry *copy;

	if (p->open)
		return NULL;
	/* Free the pages of earlier drops: only the set that this plan replaces refers to them. */
	shadow_reap();
	*p = (struct shadow_plan){
		.former = shadow.current,
		.next = shadow.current == &shadow.sets[0] ? &shadow.sets[1] : &shadow.sets[0],
		.generation = __atomic_load_n(&shadow.generation, __ATOMIC_ACQUIRE),
		.open = true,
	};
	set_for_each_entry (shadow.current, e) {
		if (READ_ONCE(e->dead))
			continue;
		copy = vec_push(&p->next->entries, sizeof(*copy));
		if (!copy) {
			shadow_plan_abort(p);
			return NULL;
		}
		copy->r = e->r;
		copy->more = e->more;
		copy->was = (u32)(e - entry_of(shadow.current, 0));
	}
	return p;
}

static int check_piece(const struct shadow_plan *p, const struct redirect *pieces, u32 i)
{
	const struct redirect *r = &pieces[i];

	if (!well_formed(r) || r->key != pieces[0].key || r->to != pieces[0].to)
		return -EINVAL;
	set_for_each_entry (p->next, e) {
		if (e->r.key == r->key)
			return -EEXIST;
		if (redirects_overlap(&e->r, r))
			return -ENOSPC;
	}
	for (u32 j = 0; j < i; j++)
		if (redirects_overlap(&pieces[j], r))
			return -ENOSPC;
	return 0;
}

int shadow_plan_add(struct shadow_plan *p, const struct redirect *pieces, u32 count)
{
	u32 before = p->next->entries.count;
	int err = p->prepared || !count ? -EINVAL : 0;

	for (u32 i = 0; !err && i < count; i++)
		err = check_piece(p, pieces, i);
	for (u32 i = 0; !err && i < count; i++) {
		struct shadow_entry *new = vec_push(&p->next->entries, sizeof(*new));

		if (!new) {
			p->next->entries.count = before;
			return -ENOMEM;
		}
		new->r = pieces[i];
		new->more = i != 0;
		new->added = true;
	}
	return err;
}

bool shadow_plan_is_free(const struct shadow_plan *p, u64 start, u64 end)
{
	set_for_each_entry (p->next, e)
		if (e->r.from < end && start < e->r.from + e->r.len)
			return false;
	return true;
}

/* Record which pieces of the current set the plan takes out of force. */
static int note_removed(struct shadow_plan *p, u64 key)
{
	u32 before = p->removed.count;

	set_for_each_entry (p->next, e) {
		u32 *removed;

		if (e->r.key != key || e->added)
			continue;
		removed = vec_push(&p->removed, sizeof(*removed));
		if (!removed) {
			p->removed.count = before;
			return -ENOMEM;
		}
		*removed = e->was;
	}
	return 0;
}

int shadow_plan_remove(struct shadow_plan *p, u64 key)
{
	struct shadow_entry *kept = entry_of(p->next, 0);
	u32 count = p->next->entries.count;
	int err = p->prepared ? -EINVAL : note_removed(p, key);

	if (err)
		return err;
	set_for_each_entry (p->next, e)
		if (e->r.key != key)
			*kept++ = *e;
	p->next->entries.count = (u32)(kept - entry_of(p->next, 0));
	return p->next->entries.count < count ? 0 : -ENOENT;
}

/* The page of the set at ipa, made if need be; returns its index or an error. */
static int find_or_add_page(struct shadow_set *s, u64 ipa)
{
	struct shadow_page *new;
	struct pt_walk w;
	int err;

	set_for_each_page (s, pg)
		if (pg->ipa.v == ipa)
			return (int)(pg - page_of(s, 0));
	err = stage2_split(IPA(ipa));
	if (!err)
		err = pgtable_lookup(&stage2, IPA(ipa), &w);
	if (err)
		return err;
	new = vec_push(&s->pages, sizeof(*new));
	if (!new)
		return -ENOMEM;
	new->ipa = IPA(ipa);
	new->original = PA(w.pa);
	new->attrs = w.attrs;
	return (int)(s->pages.count - 1);
}

static int carry_pages(struct shadow_set *next)
{
	struct shadow_page *new;

	set_for_each_page (shadow.current, pg) {
		u32 live = READ_ONCE(pg->live);

		if (!live)
			continue;
		new = vec_push(&next->pages, sizeof(*new));
		if (!new)
			return -ENOMEM;
		new->ipa = pg->ipa;
		new->original = pg->original;
		new->attrs = pg->attrs;
		new->copy = pg->copy;
		new->was = live;
	}
	return 0;
}

static int place_entries(struct shadow_set *next)
{
	set_for_each_entry (next, e) {
		for (u32 i = 0; i < nr_parts(&e->r); i++) {
			int index = find_or_add_page(next, part_of(&e->r, i).ipa);

			if (index < 0)
				return index;
			e->page[i] = (u32)index;
			page_of(next, e->page[i])->live++;
			if (e->added)
				page_of(next, e->page[i])->was = SHADOW_CHANGED;
		}
	}
	return 0;
}

static int copy_pages(struct shadow_set *next)
{
	set_for_each_page (next, pg) {
		if (pg->live == pg->was)
			continue;
		pg->fresh = true;
		pg->stale = pg->copy;
		pg->copy = pg->live ? pgtable_page_alloc(stage2.format) : NULL;
		if (pg->live && !pg->copy)
			return -ENOMEM;
	}
	return 0;
}

int shadow_plan_prepare(struct shadow_plan *p)
{
	int err;

	if (p->prepared)
		return -EINVAL;
	p->prepared = true;
	err = carry_pages(p->next);
	if (!err)
		err = place_entries(p->next);
	if (!err)
		err = copy_pages(p->next);
	return err;
}

u32 shadow_plan_pages(const struct shadow_plan *p)
{
	u32 n = 0;

	set_for_each_page (p->next, pg)
		n += pg->fresh;
	return n;
}

/* ---- in the pause ---- */

/* True if the guest's memory holds the bytes from before the redirect. */
static bool is_untouched(const struct shadow_entry *e)
{
	for (u32 i = 0; i < nr_parts(&e->r); i++) {
		struct part part = part_of(&e->r, i);

		if (memcmp(shadow_original(e, i, &part), e->r.old + part.at, part.len) != 0)
			return false;
	}
	return true;
}

static bool are_untouched(struct shadow_plan *p)
{
	const u32 *removed = p->removed.items;

	for (u32 i = 0; i < p->removed.count; i++) {
		const struct shadow_entry *e = entry_of(shadow.current, removed[i]);

		if (is_untouched(e))
			continue;
		p->obstacle = e->r.from;
		return false;
	}
	return true;
}

int shadow_plan_for_each_added(const struct shadow_plan *p,
			       int (*fn)(const struct redirect *r, void *arg), void *arg)
{
	int ret = 0;

	set_for_each_entry (p->next, e) {
		if (e->added)
			ret = fn(&e->r, arg);
		if (ret)
			break;
	}
	return ret;
}

int shadow_plan_for_each_removed(const struct shadow_plan *p,
				 int (*fn)(const struct redirect *r, void *arg), void *arg)
{
	const u32 *removed = p->removed.items;
	int ret = 0;

	for (u32 i = 0; !ret && i < p->removed.count; i++)
		ret = fn(&entry_of(p->former, removed[i])->r, arg);
	return ret;
}

int shadow_for_each_piece(u64 key, int (*fn)(const struct redirect *r, void *arg), void *arg)
{
	bool found = false;
	int ret = 0;

	set_for_each_entry (shadow.current, e) {
		if (e->r.key != key || READ_ONCE(e->dead))
			continue;
		found = true;
		ret = fn(&e->r, arg);
		if (ret)
			break;
	}
	return found ? ret : -ENOENT;
}

u64 shadow_plan_obstacle(const struct shadow_plan *p)
{
	return p->obstacle;
}

int shadow_plan_fill(struct shadow_plan *p)
{
	if (!p->prepared)
		return -EINVAL;
	p->filled = false;
	if (READ_ONCE(shadow.closed) ||
	    __atomic_load_n(&shadow.generation, __ATOMIC_ACQUIRE) != p->generation)
		return -EAGAIN;
	if (!MUTATION(probed_redirects) && !are_untouched(p))
		return -EBUSY;
	set_for_each_page (p->next, pg)
		if (pg->fresh && pg->live)
			memcpy(pg->copy, arch_ptr(pg->original), shadow_page_size());
	set_for_each_entry (p->next, e) {
		for (u32 i = 0; i < nr_parts(&e->r); i++) {
			struct shadow_page *pg = page_of(p->next, e->page[i]);
			struct part part = part_of(&e->r, i);

			if (!pg->fresh)
				continue;
			if (e->added &&
			    memcmp(pg->copy + part.offset, e->r.old + part.at, part.len) != 0)
				return -EILSEQ;
			shadow_lay(pg->copy + part.offset, pg->copy + part.offset, &e->r, &part);
		}
	}
	set_for_each_page (p->next, pg)
		if (pg->fresh && pg->live && !MUTATION(publish_copy))
			shadow_publish(pg, 0, shadow_page_size());
	p->filled = true;
	return 0;
}

void shadow_plan_apply(void *plan)
{
	struct shadow_plan *p = plan;

	if (!p->filled)
		return;
	set_for_each_page (p->next, pg)
		if (pg->fresh)
			shadow_set_leaf(pg, pg->live != 0);
	__atomic_store_n(&shadow.current, p->next, __ATOMIC_RELEASE);
}

/* ---- after it ---- */

static void plan_end(struct shadow_plan *p)
{
	bool applied = shadow.current == p->next;

	set_for_each_page (p->next, pg) {
		if (!pg->fresh)
			continue;
		pgtable_page_free(stage2.format, applied ? pg->stale : pg->copy);
		pg->stale = NULL;
	}
	/* No guest CPU reads the former set: the pause separates it from the new one. */
	if (applied)
		set_free(p->next == &shadow.sets[0] ? &shadow.sets[1] : &shadow.sets[0]);
	else
		set_free(p->next);
	vec_free(&p->removed);
	*p = (struct shadow_plan){0};
}

void shadow_plan_finish(struct shadow_plan *p)
{
	plan_end(p);
}

void shadow_plan_abort(struct shadow_plan *p)
{
	plan_end(p);
}

void shadow_stats(struct shadow_stats *s)
{
	*s = (struct shadow_stats){.plan_open = READ_ONCE(the_plan.open)};
	set_for_each_entry (shadow.current, e)
		s->redirects += !e->more && !READ_ONCE(e->dead);
	set_for_each_page (shadow.current, pg)
		s->pages += READ_ONCE(pg->live) != 0;
}
