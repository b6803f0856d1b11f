/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For tests of the consistency check. Most of them write one word to a place where the check must
 * find it, or where it must not.
 */
#ifndef CHECK_RIG_H
#define CHECK_RIG_H

#include <time.h>
#include "synthetic.h"
#include "patch/check/check.h"

#define FUNC_START (SYN_TEXT + 0x1000)
#define FUNC_END   (SYN_TEXT + 0x1080)
#define INSIDE	   (SYN_TEXT + 0x1040)

static const u64 hits[] = {FUNC_START + 1, INSIDE, FUNC_END - 1, FUNC_END};
static const u64 misses[] = {0, FUNC_START - 1, FUNC_START, FUNC_END + 1, ~0ull};

static struct check_range ranges[4096];
static u32 nr_ranges;
static struct pause pause_;
static struct transition_report report;
static const struct cpu *self;
static bool use_ahead;
static u64 sleeper; /* pid 100 */

static inline void add_range(u64 start, u64 end, const char *name)
{
	ranges[nr_ranges++] = (struct check_range){start, end, name};
}

static inline int setup(void **state)
{
	(void)state;
	syn_new(3);
	fake_time_set(1000, 0);
	sleeper = syn_task(100, "sleeper");
	nr_ranges = 0;
	add_range(FUNC_START, FUNC_END, "func");
	pause_ = (struct pause){.deadline_us = 10000};
	self = NULL;
	use_ahead = false;
	return 0;
}

static inline int run(void)
{
	nr_ranges = check_sort(ranges, nr_ranges);
	return check_run(&pause_, self, ranges, nr_ranges, use_ahead, &report);
}

static inline void assert_safe(void)
{
	int err = run();

	if (err)
		fail_msg("not safe: %s, %s in %s (%s)", errno_name(err), report.blocker.comm,
			 report.blocker.func, report.blocker.where);
	assert_false(report.blocker.valid);
	assert_string_equal(report.reason, "");
}

static inline void assert_blocked(u32 pid, const char *where)
{
	assert_int_equal(run(), -EBUSY);
	assert_true(report.blocker.valid);
	assert_int_equal(report.blocker.pid, pid);
	assert_string_equal(report.blocker.where, where);
}

static inline void assert_not_judged(int err, const char *reason)
{
	assert_int_equal(run(), err);
	assert_false(report.blocker.valid);
	if (!strstr(report.reason, reason))
		fail_msg("\"%s\" does not say \"%s\"", report.reason, reason);
}

/* The check finds a word there... */
static inline void assert_seen(u64 at, u32 pid, const char *where)
{
	u64 before = syn_get(at);

	assert_safe();
	syn_set(at, INSIDE);
	assert_blocked(pid, where);
	syn_set(at, before);
	assert_safe();
}

/* ... and ignores one there. */
static inline void assert_unseen(u64 at)
{
	u64 before = syn_get(at);

	syn_set(at, INSIDE);
	assert_safe();
	syn_set(at, before);
}

static inline u64 now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * 1000000000 + (u64)t.tv_nsec;
}

#define TEST(f) cmocka_unit_test_setup(f, setup)

#endif
