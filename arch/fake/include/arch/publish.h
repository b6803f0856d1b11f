/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes that CPUs read by page-table walks and instruction fetches. After fake_stage2_watch() the
 * fake's CPUs see only those tables and that code that have been published.
 */
#ifndef ARCH_PUBLISH_H
#define ARCH_PUBLISH_H

#include "lib/types.h"

/* One store to an entry of a table that CPUs may walk. */
void arch_write_entry(u64 *entry, u64 value);

/* Make a new table visible to walkers, before it is linked. */
void arch_publish_table(const void *table, size_t size);

/* Make changed instructions visible to fetches. */
void arch_publish_code(const void *code, size_t len);

#endif
