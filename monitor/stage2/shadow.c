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
	u64 obstacle; /* of the last fill */
	u64 generation;
	bool open, prepared, filled;
};

static struct shadow_plan the_plan;

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

static int copy_entry(struct shadow_plan *p, struct shadow_entry *e)
{
	struct shadow_entry *copy;

	e->moved = SHADOW_GONE;
	if (READ_ONCE(e->dead))
		return 0;
	copy = shadow_push(&p->next->entries, sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	copy->r = e->r;
	copy->more = e->more;
	copy->was = (u32)(e - entry_of(p->former, 0));
	e->moved = p->next->entries.count - 1;
	return 0;
}

struct shadow_plan *shadow_plan_begin(void)
{
	struct shadow_plan *p = &the_plan;
	int err = 0;

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
	p->next->serial = p->former->serial + 1;
	set_for_each_entry (p->former, e)
		if (!err)
			err = copy_entry(p, e);
	for (u32 o = 0; !err && o < NR_ORDERS; o++)
		err = shadow_order_copy(p->next, p->former, o);
	if (!err)
		return p;
	shadow_plan_abort(p);
	return NULL;
}

static bool is_taken(const struct shadow_set *s, const struct part *part)
{
	u64 at = part->ipa + part->offset;

	set_for_each_in (s, BY_PLACE, i, shadow_reach(at), at + part->len) {
		const struct shadow_entry *e = entry_at(s, BY_PLACE, i);
		struct part other = part_of(&e->r, order_at(s, BY_PLACE, i) % 2);

		if (!e->dead && parts_overlap(part, &other))
			return true;
	}
	return false;
}

static bool has_key(const struct shadow_set *s, u64 key)
{
	set_for_each_in (s, BY_KEY, i, key, key + 1)
		if (!entry_at(s, BY_KEY, i)->dead)
			return true;
	return false;
}

static int check_piece(const struct shadow_plan *p, const struct redirect *pieces, u32 i)
{
	const struct redirect *r = &pieces[i];

	if (!well_formed(r) || r->key != pieces[0].key || r->to != pieces[0].to)
		return -EINVAL;
	if (has_key(p->next, r->key))
		return -EEXIST;
	for (u32 k = 0; k < nr_parts(r); k++) {
		struct part part = part_of(r, k);

		if (is_taken(p->next, &part))
			return -ENOSPC;
	}
	for (u32 j = 0; j < i; j++)
		if (redirects_overlap(&pieces[j], r))
			return -ENOSPC;
	return 0;
}

static int add_piece(struct shadow_set *s, const struct redirect *piece, bool more)
{
	u32 index = s->entries.count;
	struct shadow_entry *new = shadow_push(&s->entries, sizeof(*new));
	int err = new ? 0 : -ENOMEM;

	if (err)
		return err;
	/* dead until it is in all orders */
	*new = (struct shadow_entry){.r = *piece, .more = more, .added = true, .dead = true};
	err = shadow_order_insert(s, BY_KEY, index);
	if (!err)
		err = shadow_order_insert(s, BY_FROM, index);
	for (u32 i = 0; !err && i < nr_parts(piece); i++)
		err = shadow_order_insert(s, BY_PLACE, 2 * index + i);
	return err;
}

int shadow_plan_add(struct shadow_plan *p, const struct redirect *pieces, u32 count)
{
	u32 before = p->next->entries.count;
	int err = p->prepared || !count ? -EINVAL : 0;

	for (u32 i = 0; !err && i < count; i++)
		err = check_piece(p, pieces, i);
	for (u32 i = 0; !err && i < count; i++)
		err = add_piece(p->next, &pieces[i], i != 0);
	for (u32 i = before; !err && i < p->next->entries.count; i++)
		entry_of(p->next, i)->dead = false;
	return err;
}

bool shadow_plan_is_free(const struct shadow_plan *p, u64 start, u64 end)
{
	set_for_each_in (p->next, BY_FROM, i, shadow_reach(start), end) {
		const struct shadow_entry *e = entry_at(p->next, BY_FROM, i);

		if (!e->dead && start < e->r.from + e->r.len)
			return false;
	}
	return true;
}

int shadow_plan_remove(struct shadow_plan *p, u64 key)
{
	bool found = false;

	if (p->prepared)
		return -EINVAL;
	set_for_each_in (p->next, BY_KEY, i, key, key + 1) {
		struct shadow_entry *e = entry_at(p->next, BY_KEY, i);

		if (!e->dead && !e->added)
			entry_of(p->former, e->was)->moved = SHADOW_REMOVED;
		found |= !e->dead;
		e->dead = true;
	}
	return found ? 0 : -ENOENT;
}

static struct shadow_page *add_page(struct shadow_set *next, u64 ipa, pa_t original, u32 attrs,
				    u64 *leaf)
{
	struct shadow_page *new = shadow_push(&next->pages, sizeof(*new));

	if (!new)
		return NULL;
	new->ipa = IPA(ipa);
	new->original = original;
	new->attrs = attrs;
	new->leaf = leaf;
	return new;
}

static int make_page(struct shadow_set *next, u64 ipa)
{
	struct pt_walk w;
	int err = stage2_split(IPA(ipa));

	if (!err)
		err = pgtable_lookup(&stage2, IPA(ipa), &w);
	if (!err && !add_page(next, ipa, PA(w.pa), w.attrs, pgtable_leaf(&stage2, IPA(ipa))))
		err = -ENOMEM;
	return err;
}

/* Carry over the pages of the former set, from number *i on, that are up to this one. */
static int carry_pages(struct shadow_plan *p, u32 *i, u64 ipa)
{
	for (; *i < p->former->pages.count && page_of(p->former, *i)->ipa.v <= ipa; ++*i) {
		const struct shadow_page *pg = page_of(p->former, *i);
		u32 live = READ_ONCE(pg->live);
		struct shadow_page *new;

		if (!live)
			continue;
		new = add_page(p->next, pg->ipa.v, pg->original, pg->attrs, pg->leaf);
		if (!new)
			return -ENOMEM;
		new->copy = pg->copy;
		new->was = live;
	}
	return 0;
}

static struct shadow_page *last_page(const struct shadow_set *s)
{
	return s->pages.count ? page_of(s, s->pages.count - 1) : NULL;
}

/* Part i of the entry is in the last page of the set. */
static void place_part(struct shadow_set *next, struct shadow_entry *e, u32 i)
{
	struct shadow_page *pg = last_page(next);

	e->page[i] = next->pages.count - 1;
	pg->live++;
	pg->data |= e->r.is_data;
	if (e->added)
		pg->was = SHADOW_CHANGED;
}

/* Make the set's pages, in the order of their addresses. */
static int place_entries(struct shadow_plan *p)
{
	struct shadow_set *next = p->next;
	u32 former = 0;
	int err = 0;

	for (u32 i = 0; !err && i < next->orders[BY_PLACE].count; i++) {
		struct shadow_entry *e = entry_at(next, BY_PLACE, i);
		u32 part = order_at(next, BY_PLACE, i) % 2;
		u64 ipa = part_of(&e->r, part).ipa;

		err = carry_pages(p, &former, ipa);
		if (!err && (!last_page(next) || last_page(next)->ipa.v != ipa))
			err = make_page(next, ipa);
		if (!err)
			place_part(next, e, part);
	}
	return err ? err : carry_pages(p, &former, UINT64_MAX);
}

/* Copy the guest's page, and make the CPUs execute what is there. */
static void copy_page(const struct shadow_page *pg)
{
	memcpy(pg->copy, arch_ptr(pg->original), shadow_page_size());
	if (!MUTATION(publish_copy))
		shadow_publish(pg, 0, shadow_page_size());
}

/* With the guest running: the pause copies only what has changed since. */
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
		if (pg->live)
			copy_page(pg);
	}
	return 0;
}

int shadow_plan_prepare(struct shadow_plan *p)
{
	int err;

	if (p->prepared)
		return -EINVAL;
	p->prepared = true;
	shadow_compact(p->next);
	err = place_entries(p);
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

/* What the guest has written under a hidden redirect is based on its own bytes, and stays. */
static bool are_untouched(struct shadow_plan *p)
{
	set_for_each_entry (p->former, e) {
		if (e->moved != SHADOW_REMOVED || shadow_hides(&e->r) || is_untouched(e))
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
		if (e->added && !e->dead)
			ret = fn(&e->r, arg);
		if (ret)
			break;
	}
	return ret;
}

int shadow_plan_for_added(const struct shadow_plan *p, u64 key,
			  int (*fn)(const struct redirect *r, void *arg), void *arg)
{
	int ret = 0;

	set_for_each_in (p->next, BY_KEY, i, key, key + 1) {
		const struct shadow_entry *e = entry_at(p->next, BY_KEY, i);

		if (!ret && e->added && !e->dead)
			ret = fn(&e->r, arg);
	}
	return ret;
}

int shadow_plan_for_removed(const struct shadow_plan *p, u64 key,
			    int (*fn)(const struct redirect *r, void *arg), void *arg)
{
	int ret = 0;

	set_for_each_in (p->former, BY_KEY, i, key, key + 1) {
		const struct shadow_entry *e = entry_at(p->former, BY_KEY, i);

		if (!ret && e->moved == SHADOW_REMOVED)
			ret = fn(&e->r, arg);
	}
	return ret;
}

int shadow_for_each_piece(u64 key, int (*fn)(const struct redirect *r, void *arg), void *arg)
{
	bool found = false;
	int ret = 0;

	set_for_each_in (shadow.current, BY_KEY, i, key, key + 1) {
		const struct shadow_entry *e = entry_at(shadow.current, BY_KEY, i);

		if (ret || READ_ONCE(e->dead))
			continue;
		found = true;
		ret = fn(&e->r, arg);
	}
	return found ? ret : -ENOENT;
}

u64 shadow_plan_obstacle(const struct shadow_plan *p)
{
	return p->obstacle;
}

/* Write part i of the entry to the page's new copy, which is as the original. */
static int fill_part(const struct shadow_page *pg, const struct shadow_entry *e, u32 i)
{
	struct part part = part_of(&e->r, i);
	u8 *copy = pg->copy + part.offset;

	if (!e->added)
		shadow_lay(copy, copy, &e->r, &part);
	else if (memcmp(copy, e->r.old + part.at, part.len) != 0)
		return -EILSEQ;
	else
		memcpy(copy, e->r.bytes + part.at, part.len);
	if (!MUTATION(publish_redirect))
		shadow_publish(pg, part.offset, part.len);
	return 0;
}

int shadow_plan_fill(struct shadow_plan *p)
{
	int err = 0;

	if (!p->prepared)
		return -EINVAL;
	p->filled = false;
	if (READ_ONCE(shadow.closed) ||
	    __atomic_load_n(&shadow.generation, __ATOMIC_ACQUIRE) != p->generation)
		return -EAGAIN;
	if (!MUTATION(probed_redirects) && !are_untouched(p))
		return -EBUSY;
	set_for_each_page (p->next, pg)
		if (pg->fresh && pg->live && !MUTATION(copy_again) &&
		    memcmp(pg->copy, arch_ptr(pg->original), shadow_page_size()) != 0)
			copy_page(pg);
	set_for_each_entry (p->next, e)
		for (u32 i = 0; !err && i < nr_parts(&e->r); i++)
			if (page_of(p->next, e->page[i])->fresh)
				err = fill_part(page_of(p->next, e->page[i]), e, i);
	p->filled = !err;
	return err;
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
		shadow_free(p->next == &shadow.sets[0] ? &shadow.sets[1] : &shadow.sets[0]);
	else
		shadow_free(p->next);
	*p = (struct shadow_plan){0};
}

void shadow_plan_forget(void)
{
	the_plan = (struct shadow_plan){0};
}

void shadow_plan_finish(struct shadow_plan *p)
{
	plan_end(p);
}

void shadow_plan_abort(struct shadow_plan *p)
{
	plan_end(p);
}

int shadow_hide(void)
{
	if (!arch_stage2_format()->exec_only)
		return -EOPNOTSUPP;
	shadow.hidden = true;
	return 0;
}

bool shadow_is_hidden(void)
{
	return shadow.hidden;
}

void shadow_stats(struct shadow_stats *s)
{
	*s = (struct shadow_stats){.plan_open = READ_ONCE(the_plan.open)};
	set_for_each_entry (shadow.current, e)
		s->redirects += !e->more && !READ_ONCE(e->dead);
	set_for_each_page (shadow.current, pg)
		s->pages += READ_ONCE(pg->live) != 0;
}
