/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * References to functions: a scan of all code and data of an object, as it is before it runs. Init
 * code counts too: it may have stored an address in memory that stays.
 */
#ifndef CTL_REFS_H
#define CTL_REFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel.h"

/* Content that is linked to an address: in the topmost 2 GiB, or in an arm64 Image. */
struct area {
	unsigned char *data;
	size_t size;
	uint64_t address;
	bool code, init;
	size_t section; /* of a module's file: its index */
};

#define AREAS_MAX 256

struct areas {
	struct area list[AREAS_MAX];
	unsigned count;
	bool full;     /* there are more */
	void *copy;    /* of a module's sections or an Image, relocated; NULL: nothing is owned */
	uint64_t base; /* by which words with an address are higher than it: of an Image */
	unsigned machine; /* enum suture_machine */
};

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

/* A place that may refer to an address. It may also be other bytes that look like a reference. */
struct ref {
	uint64_t place;
	bool branch; /* a direct call or jump begins at place */
	bool init;   /* in code that is freed after init */
};

/*
 * Call fn for each place that refers to one of these addresses, which are in ascending order, in
 * one pass. Equal addresses get their calls one after the other.
 */
typedef void (*refs_fn)(void *data, unsigned target, const struct ref *ref);
void refs_find(const struct areas *a, const uint64_t *targets, unsigned count, refs_fn fn,
	       void *data);

#endif
