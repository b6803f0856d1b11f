/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * References to functions: a scan of all code and data of an object, as it is before it runs. Init
 * code counts too: it may have stored an address in memory that stays.
 */
#ifndef CTL_REFS_H
#define CTL_REFS_H

#include "areas.h"
#include "kernel.h"

/*
 * The sections of a vmlinux, or the parts of an arm64 Image, without those that list functions for
 * other purposes than calling them; or the sections of a module's file, linked. -1: there is no
 * memory, the list is full, or an Image has relocations of another kind than RELA.
 * areas_free() also after a failure.
 */
int areas_of_kernel(struct areas *a, const struct kernel *k);
int areas_of_module(struct areas *a, const struct ko *ko);
void areas_free(struct areas *a);

/* The address of a byte of a module's section, 0 if that is in no area. */
uint64_t areas_address(const struct areas *a, size_t section, uint64_t offset);

/*
 * Call fn for each place that refers to one of these addresses, which are in ascending order, in
 * one pass. Equal addresses get their calls one after the other.
 */
void refs_find(const struct areas *a, const uint64_t *targets, unsigned count, refs_fn fn,
	       void *data);

#endif
