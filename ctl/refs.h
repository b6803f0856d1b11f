/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who refers to functions: a scan of all code and data of an object, as it is before it runs. What
 * is freed after init counts: it may have stored an address where it stays.
 */
#ifndef CTL_REFS_H
#define CTL_REFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel.h"

/* Content that is linked to an address; all addresses are in the topmost 2 GiB. */
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
	bool full;  /* there are more */
	void *copy; /* of a module's sections, relocated; NULL: nothing is owned */
};

/*
 * The sections of a vmlinux, less those that list functions for other ends than to call them; or of
 * a module's file, linked. -1: memory is out, or the list full. areas_free() also after a failure.
 */
int areas_of_kernel(struct areas *a, const struct kernel *k);
int areas_of_module(struct areas *a, const struct ko *ko);
void areas_free(struct areas *a);

/* The address of a byte of a module's section, 0 if that is in no area. */
uint64_t areas_address(const struct areas *a, size_t section, uint64_t offset);

/* A place that may refer to an address: not every byte that looks so does. */
struct ref {
	uint64_t place;
	bool branch; /* a direct call or jump begins at place */
	bool init;   /* in code that is freed after init */
};

/* Call fn for all that refers to one of these addresses, in ascending order, in one pass. Equal
 * ones are told one after the other. */
typedef void (*refs_fn)(void *data, unsigned target, const struct ref *ref);
void refs_find(const struct areas *a, const uint64_t *targets, unsigned count, refs_fn fn,
	       void *data);

#endif
