/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the guest sees where: everything at its own address, except what is the monitor's. That
 * reads as zeros (memory) or ones (devices, as nothing answers) from a page that stands in for it,
 * read-only, so that only writes exit. Boot CPU, in core_init, unless it says otherwise.
 */
#ifndef STAGE2_HIDE_H
#define STAGE2_HIDE_H

#include "lib/types.h"

/* Hide [base, base + size), rounded to whole pages. -ENOMEM; -EEXIST: it overlaps another. */
int hide_memory(u64 base, u64 size);
int hide_device(u64 base, u64 size);

/* Device memory that may be read, while what is written to it exits. Likewise. */
int hide_from_writes(u64 base, u64 size);

/* Make the guest's stage 2, with what was said so far. -ENOMEM, -EINVAL. */
int hide_build(void);

/* Is this a page that the guest sees zeros or ones in? Any CPU. */
bool hide_covers(ipa_t ipa);

#endif
