/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One run of the check: what scan.c, which finds CPUs, tasks and their stacks, and words.c,
 * which judges words, share.
 */
#ifndef PATCH_CHECK_RUN_H
#define PATCH_CHECK_RUN_H

#include "core/cpu.h"
#include "guest/hooks.h"
#include "guest/unwind.h"
#include "patch/check/check.h"

/* A guest CPU that is held, and what it was doing. */
struct held_cpu {
	u32 id;
	struct vcpu_context ctx;
	struct guest_task current;
	bool listed;  /* its current task has been judged */
	bool located; /* its stack pointer lies on a stack that has been judged */
};

/* Whose stack is being looked at, and what is known of it: only asked for when a word hits. */
struct stack_owner {
	const struct guest_task *task; /* sleeps, unless: */
	const struct held_cpu *cpu;    /* runs there */
	bool can_unwind, unwound;
	bool inside; /* it was unwound, and is inside a function */
};

/* What is looked for, and where it was looked for so far. */
struct check {
	const struct pause *pause;
	const struct check_ahead *ahead; /* what was seen before the pause, or NULL */
	bool guest_runs;		 /* this is that: what is read may be changing */
	const struct check_range *ranges;
	u32 nr_ranges;
	/* code that probes run in place of functions': nobody may be in it, whatever changes */
	struct check_range probes[2 * GUEST_MAX_SLOT_PAGES];
	u32 nr_probes;
	struct check_range hiding[SUTURE_MAX_HIDING]; /* and nobody who runs in this */
	u32 nr_hiding;
	u64 lowest, span; /* a word that hits lies in (lowest, lowest + span] */
	struct held_cpu cpus[MAX_CPUS];
	u32 nr_cpus;
	struct stack_owner owner;
	struct unwind_trace trace; /* of the owner, once unwound */
	struct transition_report *r;
};

/* Begin to look for the ranges, which are sorted. */
void check_look_for(struct check *c, const struct check_range *ranges, u32 count,
		    struct transition_report *r);

/* Add the code that probes run. 0 or negative errno: it cannot be found. */
int check_collect_probes(struct check *c);

/* Judge a task's stack: a guest_for_each_task() function, arg is the struct check. */
int check_task(const struct guest_task *t, void *arg);

/*
 * Whether the task, asleep, has been asleep ever since nothing was found on its stack; and whether
 * the probes are those of then.
 */
bool check_ahead_knows(const struct check_ahead *a, const struct guest_task *t);
bool check_ahead_holds(const struct check_ahead *a, const struct check *c);

/* Say why it cannot be judged; returns err. */
int check_refuse(struct check *c, int err, const char *fmt, ...) __printf_like(3, 4);

/* Words of stacks that are judged from now on belong to t, which sleeps or runs on h. */
void check_own_stacks(struct check *c, const struct guest_task *t, const struct held_cpu *h,
		      bool can_unwind);

/*
 * Judge a word that is on no stack. 0, or -EBUSY: it hits, and the report names t and `where`.
 * -ETIMEDOUT: it hits when there is no time left to unwind.
 */
int check_word(struct check *c, u64 word, const struct guest_task *t, const char *where);

/*
 * Judge every word that has a byte in [low, high) of a stack that belongs to t. A stack with holes
 * may lack pages, but not all. As check_word(); -EFAULT: it cannot be read.
 */
int check_words(struct check *c, u64 low, u64 high, bool holes, const struct guest_task *t,
		const char *where);

#endif
