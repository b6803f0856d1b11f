/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shadow pages: private copies of guest pages in which some bytes (redirects) belong to the
 * monitor. A redirect is one or more pieces, which are in force or out of force together. The
 * guest's page is never written; the stage-2 leaf points at the copy, readable and
 * executable, not writable.
 *
 * A change of redirects is a plan. Before the pause: shadow_plan_begin(), _add(), _remove(),
 * _prepare() allocate the new pages and split the leaves. In the pause: shadow_plan_fill() copies
 * the originals and writes the redirects, then, past the commit, shadow_plan_apply() sets the
 * leaves (idempotent). After it: shadow_plan_finish() frees what is no longer used, or
 * shadow_plan_abort() frees what was prepared.
 */
#ifndef STAGE2_SHADOW_H
#define STAGE2_SHADOW_H

#include "stage2/redirect.h"

struct shadow_plan;

/*
 * A new plan, which changes nothing yet; NULL when memory is out or another plan is open. This and
 * all plan functions: service CPU, unless they say otherwise. The number of redirects and pages is
 * limited only by the pool.
 */
struct shadow_plan *shadow_plan_begin(void);

/*
 * Put a redirect of `count` pieces in force. -EEXIST: its key is. -ENOSPC: a piece overlaps one of
 * another redirect, or two overlap. -EINVAL: no piece; pieces of different keys or targets; one has
 * no length or more than REDIRECT_MAX; its ipa and from differ in their offset in the page; it
 * crosses into ipa2, and that is not the start of another page; or the plan is prepared. -ENOMEM.
 * On failure nothing is added.
 */
int shadow_plan_add(struct shadow_plan *p, const struct redirect *pieces, u32 count);

/* True if the plan leaves no piece in force in guest virtual [start, end). */
bool shadow_plan_is_free(const struct shadow_plan *p, u64 start, u64 end);

/* Take one out of force. -ENOENT, -ENOMEM. A plan may remove a key and add it again (another
 * target). */
int shadow_plan_remove(struct shadow_plan *p, u64 key);

/*
 * Allocate and split; after it the plan takes no more changes. May be called while the guest runs.
 * -ENOMEM, -ENOENT (stage 2 has nothing at ipa), -EAGAIN (a block cannot be split: the guest's CPUs
 * did not stop in time): then only shadow_plan_abort() is left.
 */
int shadow_plan_prepare(struct shadow_plan *p);

/*
 * With the guest paused: copy originals, compare `old` of each added redirect with what is there
 * (-EILSEQ: the guest changed it since; nothing is changed), write the bytes. -EBUSY: the guest has
 * bytes of its own on a redirect that the plan removes, and would take them away again later, as it
 * read them there (see shadow_write_through()). May be done again in a later pause. -EAGAIN:
 * shadow_drop_range() has run since shadow_plan_begin(); make a new plan from what is true now.
 */
int shadow_plan_fill(struct shadow_plan *p);

/*
 * Call fn for every piece that the plan adds, or that it takes out of force, until fn
 * returns non-zero; returns that. Until the plan's end.
 */
int shadow_plan_for_each_added(const struct shadow_plan *p,
			       int (*fn)(const struct redirect *r, void *arg), void *arg);
int shadow_plan_for_each_removed(const struct shadow_plan *p,
				 int (*fn)(const struct redirect *r, void *arg), void *arg);

/*
 * Call fn for every piece in force of the redirect with this key, until fn returns non-zero;
 * returns that. -ENOENT: there is none. Service CPU.
 */
int shadow_for_each_piece(u64 key, int (*fn)(const struct redirect *r, void *arg), void *arg);

/* After -EBUSY from shadow_plan_fill(): where that piece begins (guest virtual). */
u64 shadow_plan_obstacle(const struct shadow_plan *p);

/*
 * With the guest paused, past the commit: set the leaves. Does nothing unless the last
 * shadow_plan_fill() returned 0. Idempotent; any CPU. The signature fits pause_commit().
 */
void shadow_plan_apply(void *plan);

/* After the pause. Both free what is not in force: the former copies or the prepared ones. The plan
 * is gone. */
void shadow_plan_finish(struct shadow_plan *p);
void shadow_plan_abort(struct shadow_plan *p);

/* Pages whose leaf the plan changes, once it is prepared; for the report. */
u32 shadow_plan_pages(const struct shadow_plan *p);

/*
 * Take every redirect out of force, wholly, that has its function or a piece in guest virtual
 * [start, end) or leads into it. With the guest paused. A plan that is open can no longer be
 * filled. Allocates nothing; pages are freed by shadow_reap() later. Returns how many, their keys
 * through `dropped` (may be NULL). Any CPU.
 */
int shadow_drop_range(u64 start, u64 end, void (*dropped)(u64 key, void *arg), void *arg);

/*
 * The guest's kernel is at its end: take all out of force likewise, and from then on no plan can be
 * filled, also one that begins later, until shadow_open() says that nobody wants to any more. The
 * service CPU opens.
 */
int shadow_close(void (*dropped)(u64 key, void *arg), void *arg);
void shadow_open(void);

/* Free pages that shadow_drop_range() left behind. Service CPU, guest running. */
void shadow_reap(void);

/*
 * A guest write to the page at ipa faulted. True if the page is shadowed: `original` is the guest's
 * own page. The answer holds until this CPU passes pause_point() or ends its own pause. Any guest
 * CPU inside the monitor, or the service CPU.
 */
bool shadow_lookup(ipa_t ipa, pa_t *original, pa_t *copy);

/*
 * Point the leaf of a shadowed page at the guest's own page for a while, with the rights that it
 * had, or at the copy again. False: the page is not shadowed. With the guest paused; any CPU.
 */
bool shadow_expose(ipa_t ipa);
bool shadow_cover(ipa_t ipa);

/*
 * The guest's write to [ipa, ipa + len) has been carried out on the original: bring the shadow page
 * up to date. Where a redirect stands the guest sees the redirect's bytes; what it puts there
 * (a breakpoint) is based on them, and it must read back what it wrote: so such bytes show in the
 * copy and run. When all that the original holds there is `old` or the redirect's own, the guest
 * has written back what it read: the original gets its true bytes (`old`) again. Each piece is
 * looked at by itself. May cross pages.
 * False when none of it is shadowed. With the guest paused; any CPU.
 */
bool shadow_write_through(ipa_t ipa, size_t len);

struct shadow_stats {
	u64 pages, redirects; /* in force */
	bool plan_open;	      /* more may be about to be */
};
/* Any CPU. */
void shadow_stats(struct shadow_stats *s);

#endif
