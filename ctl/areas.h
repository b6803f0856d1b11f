/* SPDX-License-Identifier: BSD-2-Clause */
/* Where references are looked for, and what one is. */
#ifndef CTL_AREAS_H
#define CTL_AREAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

/* A place that may refer to an address. It may also be other bytes that look like a reference. */
struct ref {
	uint64_t place;
	bool branch; /* a direct call or jump begins at place */
	bool init;   /* in code that is freed after init */
};

/* Is called for a reference to the address with that index: see refs_find(). */
typedef void (*refs_fn)(void *data, unsigned target, const struct ref *ref);

#endif
