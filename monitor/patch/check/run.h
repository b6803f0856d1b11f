/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One run of the check: shared by scan.c, which finds CPUs, tasks and their stacks, and words.c,
 * which judges words.
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

/* The owner of the stack that is being checked. It is needed only when a word hits. */
struct stack_owner {
	const struct guest_task *task;
	const struct held_cpu *cpu; /* the CPU that it runs on; NULL: it sleeps */
	bool can_unwind, unwound;
	bool inside; /* it was unwound, and is inside a function */
};

/* One check: the ranges, and the CPUs that were found. */
struct check {
	const struct pause *pause;
	bool guest_runs; /* the look before the pause: what is read may be stale */
	const struct check_range *ranges;
	u32 nr_ranges;
	/* copies of instructions that probes execute: no task may be in one, whatever changes */
	struct check_range probes[2 * GUEST_MAX_SLOT_PAGES];
	u32 nr_probes;
	struct check_range hiding[SUTURE_MAX_HIDING]; /* and nobody who runs in this */
	u32 nr_hiding;
	u64 lowest, span;      /* a word that hits lies in (lowest, lowest + span] */
	struct held_cpu *cpus; /* check_collect_cpus() */
	u32 nr_cpus;
	u32 kretprobes; /* that were looked at */
	struct stack_owner owner;
	struct unwind_trace trace; /* of the owner, once unwound */
	struct transition_report *r;
};

#define for_each_held(c, h) for (struct held_cpu *h = (c)->cpus; h < (c)->cpus + (c)->nr_cpus; h++)

/*
 * Collect the CPUs that are held, and `self`, with their tasks: c->cpus. Parked, dead and absent
 * CPUs run nothing, and start with an empty stack. 0 or negative errno, with the reason in the
 * report.
 */
int check_collect_cpus(struct check *c, const struct cpu *self);

/* The held CPU with this per-CPU base, or NULL. */
struct held_cpu *check_cpu_of_base(const struct check *c, u64 base);

/*
 * A task as the held CPUs have it: the lowest stack pointer on its stack, and whether all CPUs
 * whose current task it is are in user mode.
 */
struct running {
	bool on_stack;
	bool elsewhere; /* a CPU has it as its current task, in kernel mode, on another stack */
	u64 sp;
	bool user, kernel;
	const struct held_cpu *cpu; /* the one that it runs on, in kernel mode */
	u32 claims;		    /* CPUs that it is the current task of, or that use its stack */
};

/*
 * Marks the CPUs as listed and located. Takes as long as there are CPUs that have to do with the
 * task, and the logarithm of those that have not: it is called for each task.
 */
struct running check_find_running(const struct check *c, const struct guest_task *t);

/* Begin to look for the ranges, which are sorted. */
void check_look_for(struct check *c, const struct check_range *ranges, u32 count,
		    struct transition_report *r);

/* Add the pages of probes' copied instructions. 0 or negative errno: they cannot be found. */
int check_collect_probes(struct check *c);

/* Judge a task's stack: a guest_for_each_task() function, arg is the struct check. */
int check_task(const struct guest_task *t, void *arg);

/*
 * Holds: check_ahead() has looked at all tasks of the watch for these ranges, with the pages of
 * probes that there are now. Judge: those that it has not found clear, and those that have run
 * since.
 */
bool check_ahead_holds(const struct check *c);
int check_ahead_judge(struct check *c);

/* Put the reason why it cannot be judged into the report; returns err. */
int check_refuse(struct check *c, int err, const char *fmt, ...) __printf_like(3, 4);

/* The deadline came: put that into the report; returns -ETIMEDOUT. */
int check_out_of_time(struct check *c);

/* Words of stacks that are judged from now on belong to t, which sleeps or runs on h. */
void check_own_stacks(struct check *c, const struct guest_task *t, const struct held_cpu *h,
		      bool can_unwind);

/*
 * Judge a word that is not on a stack. 0, or -EBUSY: it hits, and the report names t and `where`.
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
