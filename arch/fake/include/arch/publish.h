/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes that CPUs read by other ways than loads. The fake's CPUs see of tables and code only what
 * has been published, once fake_stage2_watch() is on.
 */
#ifndef ARCH_PUBLISH_H
#define ARCH_PUBLISH_H

#include "lib/types.h"

/* One store to an entry of a table that CPUs may walk. */
void arch_write_entry(u64 *entry, u64 value);

/* Let walkers see a new table, before it is linked. */
void arch_publish_table(const void *table, size_t size);

/* Let CPUs fetch changed instructions. */
void arch_publish_code(const void *code, size_t len);

#endif
