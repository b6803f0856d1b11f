/* SPDX-License-Identifier: BSD-2-Clause */
/* Point the leaf of a page elsewhere, as monitor/stage2/shadow_set.c does it. */
#ifndef SUTURE_TESTS_LEAF_H
#define SUTURE_TESTS_LEAF_H

#include "lib/errno.h"
#include "stage2/pgtable.h"

/* -ENOENT: pgtable_split() has not made it. */
static inline int set_leaf(struct pgtable *s, ipa_t ipa, pa_t pa, u32 attrs)
{
	u64 *leaf = pgtable_leaf(s, ipa);

	if (leaf)
		pgtable_write_leaf(s, leaf, ipa, pa, attrs);
	return leaf ? 0 : -ENOENT;
}

#endif
