/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The redirects in force and the pages that carry them make up a set. A plan builds the next set
 * beside the current one; applying it points the leaves at the new copies and makes that set the
 * current one, so it can be carried out by any CPU, more than once.
 *
 * There is no lock. A current set changes only in a pause (apply, drop, write-through), and guest
 * CPUs look at it only outside of one. The service CPU, which a pause does not hold, only reads
 * it: a drop marks entries and never moves them, and its generation tells a plan that what it was
 * built from is no longer true.
 */
#include "stage2/shadow.h"
#include "stage2/stage2.h"
#include "arch/memory.h"
#include "core/errno.h"
#include "core/lib/string.h"
#include "core/mutate.h"
#include "core/pool.h"

/* An array in pool pages. */
struct vec {
	void *items;
	size_t pages;
	u32 count;
};

struct entry {
	struct redirect r;
	u32 page[2]; /* index into the set's pages, for each part of the redirect */
	u32 was;     /* its index in the set before, unless added */
	bool added;  /* by the plan that made this set */
	bool dead;   /* dropped */
};

struct shadow_page {
	ipa_t ipa;
	pa_t original;
	u32 attrs;  /* of the original's leaf */
	u32 live;   /* redirects in force here; 0: the leaf is the original's again */
	u32 was;    /* `live` in the set before, or CHANGED */
	bool fresh; /* the plan that made this set changes the leaf */
	u8 *copy;
	u8 *stale; /* the copy that it replaces: freed with the set before */
};

#define CHANGED UINT32_MAX

struct set {
	struct vec entries, pages;
};

struct shadow_plan {
	struct set *next;
	struct vec removed; /* indices (u32) of entries of the current set */
	u64 obstacle;	    /* of the last fill */
	u64 generation;
	bool open, prepared, filled;
};

static struct set sets[2];
static struct set *current = &sets[0];
static u64 generation; /* counts drops */
static bool closed;
static struct shadow_plan the_plan;

/* ---- arrays ---- */

/* Append a zeroed item; NULL when memory is out. Moves the array: pointers into it are stale. */
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

static struct entry *entry_of(const struct set *s, u32 i)
{
	return (struct entry *)s->entries.items + i;
}

static struct shadow_page *page_of(const struct set *s, u32 i)
{
	return (struct shadow_page *)s->pages.items + i;
}

#define set_for_each_entry(s, e)                                                                   \
	for (struct entry *e = entry_of(s, 0); e < entry_of(s, (s)->entries.count); e++)
#define set_for_each_page(s, pg)                                                                   \
	for (struct shadow_page *pg = page_of(s, 0); pg < page_of(s, (s)->pages.count); pg++)

static void set_free(struct set *s)
{
	vec_free(&s->entries);
	vec_free(&s->pages);
}

/* ---- parts: a redirect that crosses a page has two ---- */

struct part {
	u64 ipa;       /* of the page */
	size_t offset; /* in the page */
	size_t at;     /* in the redirect's bytes */
	size_t len;
};

static u32 nr_parts(const struct redirect *r)
{
	return r->ipa.v % PAGE_SIZE + r->len > PAGE_SIZE ? 2 : 1;
}

static struct part part_of(const struct redirect *r, u32 i)
{
	size_t offset = r->ipa.v % PAGE_SIZE;
	size_t first = MIN(r->len, PAGE_SIZE - offset);

	if (i == 0)
		return (struct part){r->ipa.v - offset, offset, 0, first};
	return (struct part){r->ipa2.v, 0, first, r->len - first};
}

static bool parts_overlap(const struct part *a, const struct part *b)
{
	return a->ipa == b->ipa && a->offset < b->offset + b->len && b->offset < a->offset + a->len;
}

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
	if (!r->len || r->len > REDIRECT_MAX || (r->ipa.v ^ r->from) % PAGE_SIZE)
		return false;
	return nr_parts(r) == 1 ||
	       (r->ipa2.v % PAGE_SIZE == 0 && r->ipa2.v != ALIGN_DOWN(r->ipa.v, PAGE_SIZE));
}

/* ---- a plan, before the pause ---- */

struct shadow_plan *shadow_plan_begin(void)
{
	struct shadow_plan *p = &the_plan;
	struct entry *copy;

	if (p->open)
		return NULL;
	/* What a drop left behind stands in the set that this plan replaces. */
	shadow_reap();
	*p = (struct shadow_plan){
		.next = current == &sets[0] ? &sets[1] : &sets[0],
		.generation = __atomic_load_n(&generation, __ATOMIC_ACQUIRE),
		.open = true,
	};
	set_for_each_entry (current, e) {
		if (READ_ONCE(e->dead))
			continue;
		copy = vec_push(&p->next->entries, sizeof(*copy));
		if (!copy) {
			shadow_plan_abort(p);
			return NULL;
		}
		copy->r = e->r;
		copy->was = (u32)(e - entry_of(current, 0));
	}
	return p;
}

int shadow_plan_add(struct shadow_plan *p, const struct redirect *r)
{
	struct entry *new;

	if (p->prepared || !well_formed(r))
		return -EINVAL;
	set_for_each_entry (p->next, e) {
		if (e->r.key == r->key)
			return -EEXIST;
		if (redirects_overlap(&e->r, r))
			return -ENOSPC;
	}
	new = vec_push(&p->next->entries, sizeof(*new));
	if (!new)
		return -ENOMEM;
	new->r = *r;
	new->added = true;
	return 0;
}

int shadow_plan_remove(struct shadow_plan *p, u64 key)
{
	u32 *removed;

	if (p->prepared)
		return -EINVAL;
	set_for_each_entry (p->next, e) {
		if (e->r.key != key)
			continue;
		if (!e->added) {
			removed = vec_push(&p->removed, sizeof(*removed));
			if (!removed)
				return -ENOMEM;
			*removed = e->was;
		}
		*e = *entry_of(p->next, --p->next->entries.count);
		return 0;
	}
	return -ENOENT;
}

/* The page of the set at ipa, made if need be; returns its index or an error. */
static int find_or_add_page(struct set *s, u64 ipa)
{
	struct shadow_page *new;
	struct pt_walk w;
	int err;

	set_for_each_page (s, pg)
		if (pg->ipa.v == ipa)
			return (int)(pg - page_of(s, 0));
	err = stage2_split(&stage2, IPA(ipa));
	if (!err)
		err = stage2_lookup(&stage2, IPA(ipa), &w);
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

static int carry_pages(struct set *next)
{
	struct shadow_page *new;

	set_for_each_page (current, pg) {
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

static int place_entries(struct set *next)
{
	set_for_each_entry (next, e) {
		for (u32 i = 0; i < nr_parts(&e->r); i++) {
			int index = find_or_add_page(next, part_of(&e->r, i).ipa);

			if (index < 0)
				return index;
			e->page[i] = (u32)index;
			page_of(next, e->page[i])->live++;
			if (e->added)
				page_of(next, e->page[i])->was = CHANGED;
		}
	}
	return 0;
}

static int copy_pages(struct set *next)
{
	set_for_each_page (next, pg) {
		if (pg->live == pg->was)
			continue;
		pg->fresh = true;
		pg->stale = pg->copy;
		pg->copy = pg->live ? pool_alloc(1) : NULL;
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

static u8 *original_of(const struct entry *e, u32 i, const struct part *part)
{
	return (u8 *)arch_ptr(page_of(current, e->page[i])->original) + part->offset;
}

/* True if the guest's memory holds what was there before the redirect. */
static bool is_untouched(const struct entry *e)
{
	for (u32 i = 0; i < nr_parts(&e->r); i++) {
		struct part part = part_of(&e->r, i);

		if (memcmp(original_of(e, i, &part), e->r.old + part.at, part.len) != 0)
			return false;
	}
	return true;
}

static bool are_untouched(struct shadow_plan *p)
{
	const u32 *removed = p->removed.items;

	for (u32 i = 0; i < p->removed.count; i++) {
		const struct entry *e = entry_of(current, removed[i]);

		if (is_untouched(e))
			continue;
		p->obstacle = e->r.from;
		return false;
	}
	return true;
}

u64 shadow_plan_obstacle(const struct shadow_plan *p)
{
	return p->obstacle;
}

/* The redirect's bytes, but where the guest's own memory has changed: it sees what it wrote. */
static void lay(u8 *copy, const u8 *original, const struct redirect *r, const struct part *part)
{
	for (size_t k = 0; k < part->len; k++) {
		bool same = original[k] == r->old[part->at + k];

		copy[k] = same ? r->bytes[part->at + k] : original[k];
	}
}

int shadow_plan_fill(struct shadow_plan *p)
{
	if (!p->prepared)
		return -EINVAL;
	p->filled = false;
	if (READ_ONCE(closed) || __atomic_load_n(&generation, __ATOMIC_ACQUIRE) != p->generation)
		return -EAGAIN;
	if (!MUTATION(probed_redirects) && !are_untouched(p))
		return -EBUSY;
	set_for_each_page (p->next, pg)
		if (pg->fresh && pg->live)
			memcpy(pg->copy, arch_ptr(pg->original), PAGE_SIZE);
	set_for_each_entry (p->next, e) {
		for (u32 i = 0; i < nr_parts(&e->r); i++) {
			struct shadow_page *pg = page_of(p->next, e->page[i]);
			struct part part = part_of(&e->r, i);

			if (!pg->fresh)
				continue;
			if (e->added &&
			    memcmp(pg->copy + part.offset, e->r.old + part.at, part.len) != 0)
				return -EILSEQ;
			lay(pg->copy + part.offset, pg->copy + part.offset, &e->r, &part);
		}
	}
	p->filled = true;
	return 0;
}

static void set_leaf(const struct shadow_page *pg, bool shadowed)
{
	/* Cannot fail: prepare split the leaf, and nobody joins it again. */
	if (shadowed)
		(void)stage2_set_leaf(&stage2, pg->ipa, arch_pa(pg->copy), pg->attrs & ~PT_WRITE);
	else
		(void)stage2_set_leaf(&stage2, pg->ipa, pg->original, pg->attrs);
}

void shadow_plan_apply(void *plan)
{
	struct shadow_plan *p = plan;

	if (!p->filled)
		return;
	set_for_each_page (p->next, pg)
		if (pg->fresh)
			set_leaf(pg, pg->live != 0);
	__atomic_store_n(&current, p->next, __ATOMIC_RELEASE);
}

/* ---- after it ---- */

static void plan_end(struct shadow_plan *p)
{
	bool applied = current == p->next;

	set_for_each_page (p->next, pg) {
		if (!pg->fresh)
			continue;
		pool_free(applied ? pg->stale : pg->copy, 1);
		pg->stale = NULL;
	}
	/* No guest CPU looks at the former set: the pause was between it and the new one. */
	if (applied)
		set_free(p->next == &sets[0] ? &sets[1] : &sets[0]);
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

/* ---- without a plan ---- */

static void drop(struct set *s, struct entry *e)
{
	WRITE_ONCE(e->dead, true);
	for (u32 i = 0; i < nr_parts(&e->r); i++) {
		struct shadow_page *pg = page_of(s, e->page[i]);
		struct part part = part_of(&e->r, i);

		if (pg->live == 1)
			set_leaf(pg, false);
		else
			memcpy(pg->copy + part.offset, (u8 *)arch_ptr(pg->original) + part.offset,
			       part.len);
		/* From 0 on the copy is shadow_reap()'s. */
		__atomic_store_n(&pg->live, pg->live - 1, __ATOMIC_RELEASE);
	}
}

int shadow_drop_range(u64 start, u64 end, void (*dropped)(u64 key, void *arg), void *arg)
{
	int n = 0;

	/* Even without a hit: a plan under way may be about to lead into the range. */
	__atomic_fetch_add(&generation, 1, __ATOMIC_RELEASE);
	set_for_each_entry (current, e) {
		const struct redirect *r = &e->r;
		bool from = r->from < end && r->from + r->len - 1 >= start;
		bool to = r->to >= start && r->to < end;

		if (e->dead || (!from && !to))
			continue;
		drop(current, e);
		if (dropped)
			dropped(r->key, arg);
		n++;
	}
	return n;
}

int shadow_close(void (*dropped)(u64 key, void *arg), void *arg)
{
	WRITE_ONCE(closed, true);
	return shadow_drop_range(0, UINT64_MAX, dropped, arg);
}

void shadow_open(void)
{
	WRITE_ONCE(closed, false);
}

void shadow_reap(void)
{
	set_for_each_page (current, pg) {
		if (__atomic_load_n(&pg->live, __ATOMIC_ACQUIRE))
			continue;
		pool_free(pg->copy, 1);
		pg->copy = NULL;
	}
}

static struct shadow_page *find_page(const struct set *s, u64 ipa)
{
	set_for_each_page (s, pg)
		if (pg->live && pg->ipa.v == ALIGN_DOWN(ipa, PAGE_SIZE))
			return pg;
	return NULL;
}

bool shadow_lookup(ipa_t ipa, pa_t *original, pa_t *copy)
{
	struct shadow_page *pg = find_page(current, ipa.v);

	if (!pg)
		return false;
	*original = pg->original;
	*copy = arch_pa(pg->copy);
	return true;
}

/*
 * True if the guest's memory holds, byte for byte, either what was there before the redirect or
 * what the guest reads of it: then the guest has written back what it read (disarming a
 * breakpoint, say). Anything else is new code of its own.
 */
static bool is_written_back(const struct entry *e)
{
	for (u32 i = 0; i < nr_parts(&e->r); i++) {
		struct part part = part_of(&e->r, i);
		const u8 *original = original_of(e, i, &part);

		for (size_t k = 0; k < part.len; k++)
			if (original[k] != e->r.old[part.at + k] &&
			    original[k] != e->r.bytes[part.at + k])
				return false;
	}
	return true;
}

/* After a guest write that touched redirect e. */
static void settle_owned(const struct entry *e)
{
	bool restore = is_written_back(e);

	for (u32 i = 0; i < nr_parts(&e->r); i++) {
		struct part part = part_of(&e->r, i);
		u8 *copy = page_of(current, e->page[i])->copy + part.offset;
		u8 *original = original_of(e, i, &part);

		if (restore)
			memcpy(original, e->r.old + part.at, part.len);
		lay(copy, original, &e->r, &part);
	}
}

bool shadow_write_through(ipa_t ipa, size_t len)
{
	bool shadowed = false;

	while (len) {
		size_t offset = ipa.v % PAGE_SIZE, n = MIN(len, PAGE_SIZE - offset);
		struct part written = {ipa.v - offset, offset, 0, n};
		struct shadow_page *pg = find_page(current, ipa.v);

		ipa.v += n;
		len -= n;
		if (!pg)
			continue;
		shadowed = true;
		memcpy(pg->copy + offset, (u8 *)arch_ptr(pg->original) + offset, n);
		set_for_each_entry (current, e) {
			for (u32 i = 0; !e->dead && i < nr_parts(&e->r); i++) {
				struct part part = part_of(&e->r, i);

				if (parts_overlap(&part, &written))
					settle_owned(e);
			}
		}
	}
	return shadowed;
}

void shadow_stats(struct shadow_stats *s)
{
	*s = (struct shadow_stats){.plan_open = READ_ONCE(the_plan.open)};
	set_for_each_entry (current, e)
		s->redirects += !READ_ONCE(e->dead);
	set_for_each_page (current, pg)
		s->pages += READ_ONCE(pg->live) != 0;
}
