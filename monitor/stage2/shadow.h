/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shadow pages: private copies of guest pages in which some bytes (redirects) belong to the
 * monitor. The guest's page is never written; the stage-2 leaf points at the copy, readable and
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

#include "core/arch.h"
#include "core/lock.h"

/* One redirect: bytes that stand at a place in guest memory instead of the guest's own. */
struct redirect {
	u64 key;    /* chosen by the owner, unique among the redirects in force (e.g. function's
		       address) */
	u64 from;   /* guest virtual address of the first replaced byte */
	u64 to;	    /* guest virtual address of the target: for shadow_drop_range() */
	ipa_t ipa;  /* of `from` */
	ipa_t ipa2; /* of the next page, when the bytes cross into it */
	u32 len;
	u8 bytes[REDIRECT_MAX];
	u8 old[REDIRECT_MAX]; /* what the guest's memory must hold there when the plan is filled */
};

struct shadow_plan;

/* A new plan, empty; NULL when memory is out. One at a time. Service CPU. */
struct shadow_plan *shadow_plan_begin(void);

/* Put a redirect in force. -EEXIST: the key is. -ENOSPC: overlaps the bytes of another. -ENOMEM. */
int shadow_plan_add(struct shadow_plan *p, const struct redirect *r);

/* Take one out of force. -ENOENT. A plan may remove a key and add it again (another target). */
int shadow_plan_remove(struct shadow_plan *p, u64 key);

/* Allocate and split. May be called while the guest runs. -ENOMEM, -ENOENT (ipa is not memory). */
int shadow_plan_prepare(struct shadow_plan *p);

/*
 * With the guest paused: copy originals, compare `old` of each added redirect with what is there
 * (-EILSEQ: the guest changed it since; nothing is changed), write the bytes.
 */
int shadow_plan_fill(struct shadow_plan *p);

/* With the guest paused, past the commit: set the leaves. Idempotent; any CPU. Signature fits
 * pause_commit(). */
void shadow_plan_apply(void *plan);

/* After the pause. The plan is gone after either. */
void shadow_plan_finish(struct shadow_plan *p);
void shadow_plan_abort(struct shadow_plan *p);

/* Pages that the plan changes, for the report. */
u32 shadow_plan_pages(const struct shadow_plan *p);

/*
 * Take every redirect out of force whose `from` or `to` lies in guest virtual [start, end). With
 * the guest paused. Allocates nothing; pages are freed by shadow_reap() later. Returns how many,
 * their keys through `dropped` (may be NULL). Any CPU.
 */
int shadow_drop_range(u64 start, u64 end, void (*dropped)(u64 key, void *arg), void *arg);

/* Free pages that shadow_drop_range() left behind. Service CPU, guest running. */
void shadow_reap(void);

/*
 * A guest write to the page at ipa faulted. True if the page is shadowed: `original` is the guest's
 * own page. Any CPU.
 */
bool shadow_lookup(ipa_t ipa, pa_t *original, pa_t *copy);

struct shadow_stats {
	u64 pages, redirects;
};
void shadow_stats(struct shadow_stats *s);

#endif
