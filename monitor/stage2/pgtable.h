/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine's second-stage tables. Identity but for what is hidden (the monitor's memory, its
 * NIC) and what is shadowed. All guest CPUs share one set.
 *
 * A table is filled before it is linked, with one 8-byte store, so that a running guest never sees
 * half of one.
 */
#ifndef STAGE2_PGTABLE_H
#define STAGE2_PGTABLE_H

#include "stage2/pt.h"

struct pgtable {
	const struct pt_format *format;
	pa_t root;
	u64 tables; /* pages used for tables */
};

/* The one set that the guest runs on. */
extern struct pgtable stage2;

/* Make an empty set for the format. -ENOMEM. Boot CPU. */
int pgtable_init(struct pgtable *s, const struct pt_format *format);

/* Free all tables. No CPU may use them any more. */
void pgtable_destroy(struct pgtable *s);

/*
 * Map [ipa, ipa + size) to pa with the largest leaves that fit, attrs not 0. All page aligned
 * (-EINVAL), within the format's range (-ERANGE), nothing there yet (-EEXIST). -ENOMEM. After the
 * last two a part of the range may be mapped. Boot CPU, before the guest runs.
 */
int pgtable_map(struct pgtable *s, ipa_t ipa, pa_t pa, u64 size, u32 attrs);

/*
 * Make sure that the 4 KiB page at ipa has a leaf of its own, by splitting larger ones. The
 * translation does not change, so it may be done while the guest runs; each split table is complete
 * before it is linked. (arm64's break-before-make is the format's business: FEAT_BBM level 2 or a
 * pause.) -ENOENT, -ENOMEM. Service CPU or boot CPU.
 */
int pgtable_split(struct pgtable *s, ipa_t ipa);

/* The leaf for ipa. 0 or -ENOENT. */
int pgtable_lookup(const struct pgtable *s, ipa_t ipa, struct pt_walk *w);

/*
 * Point the 4 KiB leaf of ipa, which pgtable_split() has made, at pa with attrs: one store,
 * idempotent. -ENOENT when it is not split. With all guest CPUs paused, or before they run; they
 * flush before they go on.
 */
int pgtable_set_leaf(struct pgtable *s, ipa_t ipa, pa_t pa, u32 attrs);

#endif
