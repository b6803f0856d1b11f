/* SPDX-License-Identifier: BSD-2-Clause */
/* What a switch is to change. */
#ifndef PATCH_SWITCH_SET_H
#define PATCH_SWITCH_SET_H

#include "patch/check/check.h"
#include "patch/report.h"

struct switch_func {
	u64 key; /* the redirect's key: address of the original function */
	char name[SUTURE_SYM_LEN];
	u64 old_addr, old_size;	      /* the original function */
	u64 active_addr, active_size; /* the code that runs now: it must not be on a stack */
	u64 new_addr;		      /* the code that is to run; 0: the original */
	u32 ftrace_site;	      /* offset in the original, or SUTURE_NONE */
	const struct suture_decl_site *sites; /* of the original */
	u32 nr_sites;
	u64 hook; /* as in suture_decl_func: used where the original has no room for a jump */
};

enum switch_mode {
	SWITCH_SAFE,	/* no task may be in the active code */
	SWITCH_FORCED,	/* no task may be in the bytes that change; the operator accepts the rest */
	SWITCH_OFFLINE, /* no task can be there: the module's init has not begun, or its exit is
			   over */
};

struct switch_set {
	const struct switch_func *funcs;
	u32 count;
	enum switch_mode mode;
	/*
	 * More code that no task may be in: split-off parts of active functions, and the whole text
	 * of payloads that are off after the switch. Empty unless SWITCH_SAFE.
	 */
	const struct check_range *extra;
	u32 nr_extra;
	/*
	 * A pause may last as long as was planned for it, or as long as what was done before it
	 * suggests, but not longer than the limit.
	 */
	u64 budget_us, limit_us;
};

#endif
