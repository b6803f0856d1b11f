/* SPDX-License-Identifier: BSD-2-Clause */
/* A redirect, piece by piece. */
#ifndef STAGE2_REDIRECT_H
#define STAGE2_REDIRECT_H

#include "arch/redirect.h"
#include "lib/types.h"

/*
 * One piece of a redirect: bytes that the guest sees at a place in its memory instead of its own.
 * They replace code of the function, or data that makes the guest bypass it.
 */
struct redirect {
	u64 key;  /* guest virtual address of the function that is redirected: the same for all
		     pieces of a redirect, and unique among those in force */
	u64 from; /* guest virtual address of the first replaced byte */
	u64 to; /* guest virtual address of the redirect's final target, for shadow_drop_range() */
	ipa_t ipa;  /* of `from` */
	ipa_t ipa2; /* of the next page, when the bytes cross into it */
	u32 len;
	bool is_data; /* the guest does not execute it: no task's instruction pointer can be there
		       */
	u64 site; /* of data: guest virtual address of the ftrace site whose callers it diverts; or
		     0 */
	/*
	 * A task whose instruction pointer is at `from`, or up to `lead` bytes before it, counts as
	 * being in the redirect. 0: callers enter here, so that a task at `from` has executed
	 * nothing yet.
	 */
	u32 lead;
	u64 jump; /* where a jump among the old bytes leads, as arch_redirect_jump() says; or 0 */
	u8 bytes[REDIRECT_MAX];
	u8 old[REDIRECT_MAX]; /* what the guest's memory must hold there when the plan is filled */
};

#endif
