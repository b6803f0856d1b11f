/* SPDX-License-Identifier: BSD-2-Clause */
/* What a transition did and what blocked it: filled by the switch, shown by the API. */
#ifndef PATCH_REPORT_H
#define PATCH_REPORT_H

#include "lib/format.h"
#include "lib/types.h"
#include <suture/abi.h>

#define BLOCKER_STACK 16u

/* The task and function that an attempt failed on. */
struct blocker {
	bool valid;
	u32 attempt; /* which one it was, from 1: later ones may have failed for another reason */
	u32 pid;
	char comm[17];
	char func[SUTURE_SYM_LEN];
	u64 address; /* the word or instruction pointer that hit */
	/* The guest's symbol for the address ("name+0x12/0x34 [module]"), "" until the agent sent
	 * it. */
	char symbol[SUTURE_SYMBOL_TEXT];
	char where[24]; /* "stack", "ip", "register", "irq stack", ... */
	/* Its return addresses as far as the stack could be unwound, innermost first. */
	u32 nr_stack;
	struct {
		u64 address;
		char func[SUTURE_SYM_LEN];	 /* the function that changes there, or "" */
		char symbol[SUTURE_SYMBOL_TEXT]; /* as above */
	} stack[BLOCKER_STACK];
};

struct transition_report {
	bool from_below;   /* the engine went on without the agent */
	char left_out[96]; /* callbacks that did not run for that, by kind: "1 pre_unpatch" */
	u32 attempts;
	bool looking; /* the last call was no attempt: not all tasks have been looked at yet */
	u64 pause_last_us, pause_max_us;
	u32 cpus_paused;
	u64 tasks_checked, words_checked; /* of the last attempt, in the pause */
	u64 tasks_before_pause;	  /* of these tasks: their stacks had been checked before it */
	u64 words_cleared;	  /* stale hits, those that were found before the pause as well */
	u32 pages_remapped;	  /* of the last attempt: pages whose leaf changed */
	u32 functions_redirected; /* redirects added or removed */
	u32 functions_verified;	  /* of these: read back as a guest CPU fetches them, and correct */
	char mismatch[REASON_LEN]; /* the first function with other bytes, and which; "": none */
	struct blocker blocker;	   /* of the last attempt that was blocked */
	char reason[REASON_LEN];   /* why the last attempt failed, "" if it did not */
	char detail[REASON_LEN];   /* what the check found, where the reason is more general */
};

#endif
