/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For programs that compare the consistency check with the truth: random code with known call trees
 * runs in Unicorn, and is stopped at random instructions. What the check says then, with and
 * without unwinding, is compared with the functions that have really been called and have not
 * returned.
 */
#ifndef UNWIND_TRUTH_H
#define UNWIND_TRUTH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "lib/errno.h"
#include "patch/check/check.h"

#define MAX_DEPTH 512
#define MAX_FUNCS 8000

/* What an instruction does; 0 where none begins. */
enum insn {
	INSN_NONE,
	INSN_PLAIN,
	INSN_CALL,
	INSN_RET,
	INSN_SLEEP,
	INSN_END,
	INSN_IRQ_END,
	INSN_CHANCE,
};

struct func {
	u64 start, end;
	bool unknown; /* it cannot be unwound */
};

static struct func funcs[MAX_FUNCS];
static u32 nr_funcs;

static u64 seed = 88172645463325252ull;

static u64 rnd(u64 below)
{
	seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
	return seed % below;
}

/* An address in some function, as a pointer to it or as a call left it. */
static u64 some_address(void)
{
	const struct func *f = &funcs[rnd(nr_funcs)];

	return f->start + rnd(f->end - f->start + 1);
}

/* Execution will continue at ip: exactly there, or after a call. */
struct active {
	u64 ip;
	u16 func;
	bool interrupted;
};

static struct truth {
	struct active active[MAX_DEPTH];
	u32 depth;
	u32 checks, inside, hits, cleared, running, sleeping, on_irq_stack, interrupted;
	u32 without, with; /* false hits; of these, asleep: */
	u32 asleep_without, asleep_with;
} truth;

/* The program says: the index of the function at that address; */
static u16 func_at(u64 ip);
/* whether the check unwinds; */
static void set_unwinding(bool on);
/* and looks at a false hit that unwinding has left. */
static void judge_false_hit(const struct transition_report *r, u64 ip, bool sleeps);

static void push_active(u64 ip, u16 func, bool interrupted)
{
	assert_true(truth.depth < MAX_DEPTH);
	truth.active[truth.depth++] = (struct active){ip, func, interrupted};
}

static bool is_inside(u32 func, u64 ip, bool sleeps)
{
	if (!sleeps && func_at(ip) == func && ip != funcs[func].start)
		return true;
	for (u32 i = 0; i < truth.depth; i++)
		if (truth.active[i].func == func &&
		    !(truth.active[i].interrupted && truth.active[i].ip == funcs[func].start))
			return true;
	return false;
}

/* All can be unwound, and no registers that were saved stand for themselves. */
static bool can_unwind(u64 ip, bool sleeps)
{
	bool can = sleeps || !funcs[func_at(ip)].unknown;

	for (u32 i = 0; i < truth.depth; i++)
		can &= !truth.active[i].interrupted && !funcs[truth.active[i].func].unknown;
	return can;
}

/* Of a CPU that is at ip, or of a task that sleeps; some of the `count` functions from `first` on.
 */
static void compare(u64 ip, bool sleeps, u32 first, u32 count)
{
	static struct transition_report report;
	struct check_range ranges[3];
	struct pause pause = {.deadline_us = UINT64_MAX};
	u32 nr = 1 + (u32)rnd(ARRAY_SIZE(ranges));
	bool inside = false;
	int err;

	for (u32 i = 0; i < nr; i++) {
		u32 func = first + (u32)rnd(count);

		/* As often one that is there. */
		if (truth.depth && rnd(4) == 0)
			func = truth.active[rnd(truth.depth)].func;
		ranges[i] = (struct check_range){funcs[func].start, funcs[func].end, "f"};
		inside |= is_inside(func, ip, sleeps);
	}
	nr = check_sort(ranges, nr);
	truth.checks++;
	truth.inside += inside;

	set_unwinding(false);
	err = check_run(&pause, NULL, ranges, nr, NULL, &report);
	set_unwinding(true);
	if (err && err != -EBUSY)
		fail_msg("%s", report.reason);
	if (inside && !err)
		fail_msg("not seen: ip %#llx, depth %u", (unsigned long long)ip, truth.depth);
	assert_int_equal(report.words_cleared, 0);
	if (!err)
		return;
	truth.hits++;
	truth.without += !inside;
	truth.asleep_without += !inside && sleeps;

	err = check_run(&pause, NULL, ranges, nr, NULL, &report);
	assert_true(!err || err == -EBUSY);
	if (inside && !err)
		fail_msg("cleared: ip %#llx, depth %u", (unsigned long long)ip, truth.depth);
	truth.with += !inside && err;
	truth.asleep_with += !inside && err && sleeps;
	truth.cleared += !err;
	assert_true(err || report.words_cleared);
	if (err && !inside)
		judge_false_hit(&report, ip, sleeps);
}

static void print_truth(const char *name)
{
	print_message("%s: %u stops (%u running, %u of them on the interrupt stack, "
		      "%u asleep; %u interrupts), really inside %u times, all seen; "
		      "false hits in %u (%.1f %%), after unwinding %u (%.1f %%); of those asleep "
		      "%u (%.1f %%) and %u (%.1f %%)\n",
		      name, truth.checks, truth.running, truth.on_irq_stack, truth.sleeping,
		      truth.interrupted, truth.inside, truth.without,
		      100.0 * truth.without / truth.checks, truth.with,
		      100.0 * truth.with / truth.checks, truth.asleep_without,
		      100.0 * truth.asleep_without / truth.sleeping, truth.asleep_with,
		      100.0 * truth.asleep_with / truth.sleeping);
}

/* The stops were of all kinds, and unwinding was of use. */
static void assert_truth(void)
{
	assert_true(truth.inside > truth.checks / 10);
	assert_true(truth.sleeping > truth.checks / 50);
	assert_true(truth.on_irq_stack > truth.checks / 50);
	assert_true(truth.cleared == truth.without - truth.with);
	assert_true(truth.asleep_with < truth.asleep_without / 2);
}

#endif
