/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shared by shadow.c, which changes the set of redirects by plans, and shadow_guest.c, which
 * changes it on actions of the guest. The rules of who may touch it and when are at the top of
 * shadow.c.
 */
#ifndef STAGE2_SHADOW_SET_H
#define STAGE2_SHADOW_SET_H

#include "core/lock.h"
#include "stage2/pgtable.h"
#include "stage2/redirect.h"

/* An array in pool pages. */
struct vec {
	void *items;
	size_t pages;
	u32 count;
};

struct shadow_entry {
	struct redirect r;
	u32 page[2]; /* index into the set's pages, for each part of the redirect */
	u32 was;     /* its index in the former set, unless added */
	/* its index in the next set, SHADOW_GONE or SHADOW_REMOVED; only the open plan uses it */
	u32 moved;
	bool more;  /* not the first piece of its redirect */
	bool added; /* by the plan that made this set */
	bool dead;  /* dropped; or not to be in the set that is being made */
};

#define SHADOW_GONE    UINT32_MAX	/* dropped */
#define SHADOW_REMOVED (UINT32_MAX - 1) /* by the plan */

struct shadow_page {
	ipa_t ipa; /* of a page of stage 2, which may contain several pages of the guest */
	pa_t original;
	u32 attrs;  /* of the original's leaf */
	bool data;  /* the guest reads a piece here (is_data): it can always be read */
	u32 live;   /* redirects in force here; 0: the leaf is the original's again */
	u32 was;    /* `live` in the former set, or SHADOW_CHANGED */
	bool fresh; /* the plan that made this set changes the leaf */
	u64 *leaf;  /* its entry in stage 2 */
	u8 *copy;
	u8 *stale; /* the copy that it replaces: freed with the former set */
};

#define SHADOW_CHANGED UINT32_MAX

/*
 * The entries in an order: a sorted array of numbers, of equal ones in the order in which they were
 * added. A number is an entry's index, times two in BY_PLACE, plus one for its second part.
 */
enum shadow_order {
	BY_KEY,
	BY_FROM,
	BY_PLACE, /* by the address in stage 2; an entry has a number for each of its parts */
	NR_ORDERS,
};

struct shadow_set {
	struct vec entries;
	struct vec pages; /* by ipa */
	struct vec orders[NR_ORDERS];
	u64 serial; /* of the sets that were in force */
};

extern struct shadow_state {
	struct shadow_set sets[2];
	struct shadow_set *current; /* one of them: the set in force */
	u64 generation;		    /* counts drops */
	bool closed;
	bool hidden; /* shadow_hide() */
} shadow;

static inline struct shadow_entry *entry_of(const struct shadow_set *s, u32 i)
{
	return (struct shadow_entry *)s->entries.items + i;
}

static inline struct shadow_page *page_of(const struct shadow_set *s, u32 i)
{
	return (struct shadow_page *)s->pages.items + i;
}

static inline u32 order_at(const struct shadow_set *s, enum shadow_order o, u32 i)
{
	return ((const u32 *)s->orders[o].items)[i];
}

static inline struct shadow_entry *entry_at(const struct shadow_set *s, enum shadow_order o, u32 i)
{
	u32 number = order_at(s, o, i);

	return entry_of(s, o == BY_PLACE ? number / 2 : number);
}

/* The first position in the order of which the key or address is not below `from`. */
u32 shadow_first(const struct shadow_set *s, enum shadow_order o, u64 from);
/* The key or address at that position; UINT64_MAX behind the last. */
u64 shadow_value(const struct shadow_set *s, enum shadow_order o, u32 i);

/* Entries, dead ones too, with a key or address in [from, to); i: the position. */
#define set_for_each_in(s, o, i, from, to)                                                         \
	for (u32 i = shadow_first(s, o, from); shadow_value(s, o, i) < (to); i++)

/* The lowest address at which a piece that has a byte at `at` can begin. */
static inline u64 shadow_reach(u64 at)
{
	return at - MIN(at, REDIRECT_MAX - 1u);
}

/* The page of the set at that address, live or not; NULL: there is none. */
struct shadow_page *shadow_find_page(const struct shadow_set *s, u64 ipa);

/* ---- shadow.c ---- */

/* The plan is gone, with all that it had. Service CPU, when it begins anew. */
void shadow_plan_forget(void);

/* ---- shadow_change.c: a set that is being made. Service CPU ---- */

/*
 * Append a zeroed item; NULL when memory is out. May move the array: pointers into it become
 * invalid.
 */
void *shadow_push(struct vec *v, size_t size);
void shadow_free(struct shadow_set *s);
/* Add a number of the last entry to its place. -ENOMEM. */
int shadow_order_insert(struct shadow_set *s, enum shadow_order o, u32 number);
/* The same order of the entries that have a place in the next set. -ENOMEM. */
int shadow_order_copy(struct shadow_set *to, const struct shadow_set *from, enum shadow_order o);
/* Leave out the entries that are dead. */
void shadow_compact(struct shadow_set *s);

#define set_for_each_entry(s, e)                                                                   \
	for (struct shadow_entry *e = entry_of(s, 0); e < entry_of(s, (s)->entries.count); e++)
#define set_for_each_page(s, pg)                                                                   \
	for (struct shadow_page *pg = page_of(s, 0); pg < page_of(s, (s)->pages.count); pg++)

/* The size of a leaf and of a copy. */
static inline u64 shadow_page_size(void)
{
	return pt_level_size(stage2.format, 0);
}

/*
 * True if the guest does not see this piece: it reads and writes its own page, and what it writes
 * there changes nothing of the piece.
 */
static inline bool shadow_hides(const struct redirect *r)
{
	return shadow.hidden && !r->is_data;
}

/* In such units the guest's writes to its code are told from the redirect. */
size_t shadow_unit(void);

/* ---- parts: a redirect that crosses a page has two ---- */

struct part {
	u64 ipa;       /* of the page */
	size_t offset; /* in the page */
	size_t at;     /* in the redirect's bytes */
	size_t len;
};

static inline u32 nr_parts(const struct redirect *r)
{
	return r->ipa.v % PAGE_SIZE + r->len > PAGE_SIZE ? 2 : 1;
}

static inline struct part part_of(const struct redirect *r, u32 i)
{
	size_t first = MIN(r->len, PAGE_SIZE - r->ipa.v % PAGE_SIZE);
	u64 at = i ? r->ipa2.v : r->ipa.v, page = ALIGN_DOWN(at, shadow_page_size());

	return (struct part){page, at - page, i ? first : 0, i ? r->len - first : first};
}

static inline bool parts_overlap(const struct part *a, const struct part *b)
{
	return a->ipa == b->ipa && a->offset < b->offset + b->len && b->offset < a->offset + a->len;
}

/* The address of that part of the entry in the guest's own memory. In a pause. */
u8 *shadow_original(const struct shadow_entry *e, u32 i, const struct part *part);

/*
 * Write the redirect's bytes into the copy, except where the guest's own memory has changed: there
 * the guest sees what it wrote, unless the redirect is hidden. In a pause, or on a copy that is not
 * in force.
 */
void shadow_lay(u8 *copy, const u8 *original, const struct redirect *r, const struct part *part);

/* The copy has changed in [offset, offset + len): make the guest execute the new bytes. */
void shadow_publish(const struct shadow_page *pg, size_t offset, size_t len);

/*
 * Point the page's leaf at the copy, which has been published, or at the guest's own page. The
 * guest has published its writes to its own page by the address that was mapped to the copy.
 * Therefore this function publishes its own page. In a pause.
 */
void shadow_set_leaf(const struct shadow_page *pg, bool shadowed);

#endif
