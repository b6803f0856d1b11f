/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Does the new code run wherever the old code did? Finds clones of functions that other functions
 * call directly, and functions without callers.
 */
#ifndef CTL_CHECK_CALLS_H
#define CTL_CHECK_CALLS_H

#include "kernel.h"
#include "payload.h"
#include "verdict.h"

/* A function of the patch, as it was found in its object. */
struct called {
	struct payload_func *func; /* its `uncalled` is filled in */
	uint64_t address, size;	   /* in a module: of its section, and in it */
	size_t section;
	/*
	 * It begins with a site of ftrace, and no list of BTF ids has it. Other functions may be
	 * called in ways that are not found (by entry code, by BPF programs).
	 */
	bool plain;
};

/* All functions of one object; ko is NULL for the kernel. */
void check_calls(const struct kernel *k, const struct ko *ko, const char *object,
		 struct called *funcs, unsigned count, struct verdict *v);

#endif
