/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Does the new code run where the old one did? Found are clones of functions that others call
 * directly, and functions that nobody calls.
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
	 * Begins with a site of ftrace, and no list of BTF ids has it: if it were called by other
	 * means than calls and pointers (entry code, BPF programs) that would not be seen.
	 */
	bool plain;
};

/* All functions of one object; ko is NULL for the kernel. */
void check_calls(const struct kernel *k, const struct ko *ko, const char *object,
		 struct called *funcs, unsigned count, struct verdict *v);

#endif
