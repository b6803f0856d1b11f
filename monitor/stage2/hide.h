/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's map of physical memory: everything at its own address, except the monitor's memory
 * and devices. The guest reads zeros (memory) or ones (devices, as if nothing answered) there, from
 * a read-only page that is mapped in their place, so that only writes exit. Boot CPU, in core_init,
 * unless it says otherwise.
 */
#ifndef STAGE2_HIDE_H
#define STAGE2_HIDE_H

#include "lib/types.h"

/* Hide [base, base + size), rounded to whole pages. -ENOMEM; -EEXIST: it overlaps another. */
int hide_memory(u64 base, u64 size);
int hide_device(u64 base, u64 size);

/* The guest may read this device memory; writes to it exit. Errors as above. */
int hide_from_writes(u64 base, u64 size);

/*
 * The guest reads, writes and executes the page at pa, which the caller fills, in the place of the
 * one at base. Errors as above.
 */
int hide_replace(u64 base, pa_t pa);
/* Calls fn for each range that hide_replace() has taken. */
void hide_each_replaced(void (*fn)(u64 base, u64 end));

/* Build the guest's stage 2 with all ranges hidden so far. -ENOMEM, -EINVAL. */
int hide_build(void);

/* True if the guest reads zeros or ones in this page. Any CPU. */
bool hide_covers(ipa_t ipa);

#endif
