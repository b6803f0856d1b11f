/* SPDX-License-Identifier: BSD-2-Clause */
/* Which text is to be compared with which bundle: text_check(). */
#ifndef PATCH_TEXT_QUERY_H
#define PATCH_TEXT_QUERY_H

#include "patch/bundle.h"

/* What the guest declared of a function. */
struct text_func {
	u64 old_addr; /* 0: its object is not loaded */
	u64 new_addr;
};

struct text_query {
	const struct bundle *bundle;
	u64 start, end; /* guest virtual addresses of the payload's text */
	/*
	 * Of the manifest's functions, in its order: compared with where vmlinux and the payload
	 * have them. NULL: they were compared before.
	 */
	const struct text_func *funcs;
};

#endif
