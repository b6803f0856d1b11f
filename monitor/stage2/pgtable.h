/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine's second-stage tables. Identity but for what is hidden (the monitor's memory, its
 * NIC) and what is shadowed. All guest CPUs share one set.
 *
 * A table is filled and published before it is linked, with one 8-byte store, so that a running
 * guest never sees half of one. The format says what a change needs beyond that store: a pause for
 * splitting a block, an invalidation between the old entry and the new one.
 */
#ifndef STAGE2_PGTABLE_H
#define STAGE2_PGTABLE_H

#include "stage2/pt.h"

struct pgtable {
	const struct pt_format *format;
	pa_t root;
	u64 tables; /* pages of the pool used for tables */
};

/* The one set that the guest runs on. */
extern struct pgtable stage2;

/* Make an empty set for the format. -ENOMEM; -EINVAL: its root is more than 16 tables. Boot CPU. */
int pgtable_init(struct pgtable *s, const struct pt_format *format);

/* Free all tables. No CPU may use them any more. */
void pgtable_destroy(struct pgtable *s);

/*
 * Map [ipa, ipa + size) to pa with the largest leaves that fit, attrs not 0. All aligned to the
 * format's pages (-EINVAL), attrs that it can express (-EOPNOTSUPP), within its range (-ERANGE),
 * nothing there yet (-EEXIST). -ENOMEM. After the last two a part of the range may be mapped. Boot
 * CPU, before the guest runs.
 */
int pgtable_map(struct pgtable *s, ipa_t ipa, pa_t pa, u64 size, u32 attrs);

/*
 * Runs change(arg), which is idempotent, while no CPU uses the tables. 0, or negative errno if it
 * has not run.
 */
typedef int (*pgtable_alone_fn)(void (*change)(void *arg), void *arg);

/*
 * Make sure that the page at ipa has a leaf of its own, by splitting larger ones. The translation
 * does not change, so it may be done while the guest runs: in one store, or by `alone` if the
 * format has PT_SPLIT_PAUSED (NULL: no CPU uses the tables). -ENOENT, -ENOMEM, or what `alone`
 * returned; the translation is the same then too. Service CPU or boot CPU.
 */
int pgtable_split(struct pgtable *s, ipa_t ipa, pgtable_alone_fn alone);

/* The leaf for ipa. 0 or -ENOENT. */
int pgtable_lookup(const struct pgtable *s, ipa_t ipa, struct pt_walk *w);

/*
 * The entry of the leaf of the page at ipa, which pgtable_split() has made: it stays where it is,
 * since leaves are not joined again. NULL: it is not split.
 */
u64 *pgtable_leaf(const struct pgtable *s, ipa_t ipa);
/*
 * Point that leaf at pa with attrs, which the format can express (0: at nothing): one store, after
 * the old leaf was taken out of all TLBs if the format asks for that. One that allows execution
 * gets the type of its memory, which may have changed since attrs were read. Idempotent, also when
 * another CPU did one half of it. With all guest CPUs paused, or before they run; they flush before
 * they go on.
 */
void pgtable_write_leaf(struct pgtable *s, u64 *leaf, ipa_t ipa, pa_t pa, u32 attrs);

/*
 * The types of the memory in [begin, end) have changed: the format's memory_type() gives the new
 * ones. First split the leaves that would span several, as pgtable_split() does. 1: leaves have
 * another type than their memory, and pgtable_retype() is to be called; 0: none has; or the error
 * of pgtable_split(). Service CPU.
 *
 * Leaves that do not allow execution have the type that they were mapped with: they are devices
 * whose type is known, or the monitor's pages in place of what is hidden.
 */
int pgtable_split_types(struct pgtable *s, u64 begin, u64 end, pgtable_alone_fn alone);
/* Then give those leaves the type of their memory. Idempotent; as pgtable_write_leaf(). */
void pgtable_retype(struct pgtable *s, u64 begin, u64 end);

/* A page of the format's size, aligned to it, zeroed; NULL when memory is out. Any CPU. */
void *pgtable_page_alloc(const struct pt_format *f);
void pgtable_page_free(const struct pt_format *f, void *page);

#endif
