/* SPDX-License-Identifier: BSD-2-Clause */
/* Writes that CPUs read by other ways than loads: page-table walks and instruction fetches. */
#ifndef ARCH_PUBLISH_H
#define ARCH_PUBLISH_H

#include "lib/types.h"

/*
 * Write an entry of a table that CPUs may walk: one store, behind all stores before it, that every
 * CPU's walker sees when this returns. Any CPU.
 */
void arch_write_entry(u64 *entry, u64 value);

/*
 * A new table has been filled, by plain stores: let all walkers see that. Before an entry that
 * points at it is written. Any CPU.
 */
void arch_publish_table(const void *table, size_t size);

/*
 * Instructions have been written to, or have changed at, this place: let every CPU fetch them.
 * Before a leaf lets the guest execute them, or before it goes on. Any CPU.
 */
void arch_publish_code(const void *code, size_t len);

#endif
