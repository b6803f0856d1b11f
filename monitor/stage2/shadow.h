/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shadow pages: private copies of guest pages in which some bytes (redirects) belong to the
 * monitor. A redirect is one or more pieces, which are in force or out of force together. The
 * guest's page is never written; the stage-2 leaf points at the copy, readable and
 * executable, not writable; or executable only, after shadow_hide().
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
 * Hide all redirects: the guest executes the copies and reads its own pages, by accesses that fault
 * (stage2/shadow_access.h). Pieces of data stay readable. -EOPNOTSUPP: stage 2 has no leaf that can
 * only be executed (pt_format.exec_only). Boot CPU, after arch_start_probe(), before any redirect
 * is in force.
 */
int shadow_hide(void);
/* Any CPU. */
bool shadow_is_hidden(void);

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

/*
 * Take a redirect out of force. -ENOENT, -ENOMEM. A plan may remove a key and add it again (another
 * target).
 */
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
 * bytes of its own on a redirect that the plan removes, and would later restore what it read there
 * (see shadow_write_through()). May be called again in a later pause. -EAGAIN: shadow_drop_range()
 * has run since shadow_plan_begin(); make a new plan from the present set.
 */
int shadow_plan_fill(struct shadow_plan *p);

/*
 * Call fn for every piece that the plan adds; or for the pieces with this key that it adds, or that
 * it takes out of force; until fn returns non-zero; returns that. Until the plan's end.
 */
int shadow_plan_for_each_added(const struct shadow_plan *p,
			       int (*fn)(const struct redirect *r, void *arg), void *arg);
int shadow_plan_for_added(const struct shadow_plan *p, u64 key,
			  int (*fn)(const struct redirect *r, void *arg), void *arg);
int shadow_plan_for_removed(const struct shadow_plan *p, u64 key,
			    int (*fn)(const struct redirect *r, void *arg), void *arg);

/*
 * Call fn for every piece in force of the redirect with this key, until fn returns non-zero;
 * returns that. -ENOENT: there is none. Service CPU.
 */
int shadow_for_each_piece(u64 key, int (*fn)(const struct redirect *r, void *arg), void *arg);

/* After -EBUSY from shadow_plan_fill(): the start of that piece (guest virtual). */
u64 shadow_plan_obstacle(const struct shadow_plan *p);

/*
 * With the guest paused, past the commit: set the leaves. Does nothing unless the last
 * shadow_plan_fill() returned 0. Idempotent; any CPU. The signature fits pause_commit().
 */
void shadow_plan_apply(void *plan);

/*
 * After the pause. Both free the copies that are not in force, the former or the prepared ones, and
 * the plan.
 */
void shadow_plan_finish(struct shadow_plan *p);
void shadow_plan_abort(struct shadow_plan *p);

/* Pages whose leaf the plan changes, once it is prepared; for the report. */
u32 shadow_plan_pages(const struct shadow_plan *p);

/*
 * Take out of force, as a whole, every redirect whose function, target or one of whose pieces is in
 * guest virtual [start, end). With the guest paused. A plan that is open can no longer be filled.
 * Allocates nothing; pages are freed by shadow_reap() later. Returns their number; calls `dropped`
 * (may be NULL) with each key. Any CPU.
 */
int shadow_drop_range(u64 start, u64 end, void (*dropped)(u64 key, void *arg), void *arg);

/*
 * The guest's kernel ends: take all redirects out of force, as shadow_drop_range() does. From then
 * on no plan can be filled, not even a new one, until the service CPU calls shadow_open(), when the
 * engine has dropped all that it knew of that kernel.
 */
int shadow_close(void (*dropped)(u64 key, void *arg), void *arg);
void shadow_open(void);

/* Free pages that shadow_drop_range() left behind. Service CPU, guest running. */
void shadow_reap(void);

/*
 * A guest access to the page at ipa faulted. True if the page is shadowed; then `original` is the
 * guest's own page. The answer holds until this CPU passes pause_point() or ends its own pause. Any
 * guest CPU inside the monitor, or the service CPU.
 */
bool shadow_lookup(ipa_t ipa, pa_t *original, pa_t *copy);

/*
 * Point the leaf of a shadowed page at the guest's own page, with its former rights, or (the second
 * function) at the copy again. False: the page is not shadowed. With the guest paused; any CPU.
 */
bool shadow_expose(ipa_t ipa);
bool shadow_cover(ipa_t ipa);

/* Call fn for each shadowed page. As shadow_lookup(), or with the guest paused. */
void shadow_for_each_page(void (*fn)(ipa_t page));

/*
 * The guest's write to [ipa, ipa + len) has been carried out on the original: bring the shadow page
 * up to date. A hidden redirect stays as it is. In another one the guest sees the redirect's bytes.
 * What it writes there (a breakpoint) is based on them, and it must read back what it wrote: so the
 * copy shows and executes such bytes. If each byte of the original is there the one of `old` or the
 * redirect's, the guest has written back what it had read: then the original gets its bytes (`old`)
 * again. Each piece is treated by itself. May cross pages. False when none of it is shadowed. With
 * the guest paused; any CPU.
 */
bool shadow_write_through(ipa_t ipa, size_t len);

/*
 * How many plans have been applied. A difference tells the service CPU, when it has begun anew,
 * that it had applied one which its records do not know of.
 */
u64 shadow_serial(void);

/* Where the function with this key leads to now: 0 if it has no redirect. Service CPU. */
u64 shadow_target(u64 key);

/*
 * The service CPU has begun anew, after pool_restart(): the set in force stays, any plan is gone.
 * Claims the memory of the set: 0; -EIO as pool_claim().
 */
int shadow_restart(void);

struct shadow_stats {
	u64 pages, redirects; /* in force */
	bool plan_open;	      /* a plan may be about to add more */
};
/* Any CPU. */
void shadow_stats(struct shadow_stats *s);

#endif
