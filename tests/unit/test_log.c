/* SPDX-License-Identifier: BSD-2-Clause */
/* The log keeps its other lines, however many lines a guest or a peer causes. */
#include "fake.h"
#include "core/log.h"
#include "lib/format.h"
#include "lib/string.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define PROVOKED 100000u

/* The log is one, for all tests: each begins behind what is there, long after. */
static u64 first, now_us;

static void later(u64 us)
{
	now_us += us;
	fake_time_set(now_us, 0);
}

static int setup(void **state)
{
	struct log_entry e;

	(void)state;
	fake_reset(1);
	later(1000000000);
	for (u32 kind = 0; kind < LOG_KINDS; kind++)
		log_limited(kind, LOG_INFO, "what was left out before is said");
	later(1000000000);
	while (log_read(first, &e))
		first = e.seq + 1;
	return 0;
}

/* Is there a line with this text? */
static bool has(const char *text)
{
	struct log_entry e;

	for (u64 seq = first; log_read(seq, &e); seq = e.seq + 1)
		if (strstr(e.text, text))
			return true;
	return false;
}

static void provoked_lines_leave_the_older_ones(void **state)
{
	static const char *const names[] = {"monitor", "access", "cpu",	     "agent",
					    "module",  "patch",	 "operator", "net"};
	struct log_counts before[LOG_KINDS], now;

	(void)state;
	for (u32 kind = 0; kind < LOG_KINDS; kind++) {
		assert_string_equal(log_kind_name(kind), names[kind]);
		before[kind] = log_count(kind);
		log_limited(kind, LOG_WARN, "older line of kind %s", names[kind]);
	}
	for (u32 kind = LOG_MONITOR + 1; kind < LOG_KINDS; kind++) {
		char mine[64];

		for (u32 i = 0; i < PROVOKED; i++)
			log_limited(kind, LOG_ERROR, "provoked %u", i);
		for (u32 other = 0; other < LOG_KINDS; other++) {
			format(mine, sizeof(mine), "older line of kind %s", names[other]);
			assert_true(has(mine));
		}
		now = log_count(kind);
		assert_int_equal(now.kept - before[kind].kept, LOG_BURST);
		assert_int_equal(now.left_out - before[kind].left_out, PROVOKED + 1 - LOG_BURST);
	}
	printf("measured %u provoked lines of each of %u kinds: %u kept of each\n", PROVOKED,
	       LOG_KINDS - 1, LOG_BURST);
}

/* Slowly, so that the limit lets them pass, for days: they displace their own kind only. */
static void patience_does_not_help(void **state)
{
	(void)state;
	log_error("what the monitor said");
	log_limited(LOG_OPERATOR, LOG_INFO, "what the operator wanted");
	for (u32 i = 0; i < PROVOKED; i++) {
		later(10000000);
		log_limited(LOG_ACCESS, LOG_ERROR, "patient %u", i);
	}
	assert_true(has("what the monitor said"));
	assert_true(has("what the operator wanted"));
	assert_false(has("patient 0"));
	assert_true(has("patient 99999"));
}

static void says_how_many_were_left_out(void **state)
{
	struct log_entry e;
	u64 seq = first;
	u32 lines = 0;

	(void)state;
	for (u32 i = 0; i < LOG_BURST + 10; i++)
		log_limited(LOG_PATCH, LOG_INFO, "line %u", i);
	later(LOG_INTERVAL_US);
	log_limited(LOG_PATCH, LOG_INFO, "the next one");
	log_limited(LOG_PATCH, LOG_INFO, "one too many");
	for (; log_read(seq, &e); seq = e.seq + 1, lines++)
		if (lines == LOG_BURST) {
			assert_string_equal(e.text, "10 more lines like the next ones ('patch') "
						    "were left out");
			assert_int_equal(e.level, LOG_WARN);
		}
	assert_int_equal(lines, LOG_BURST + 2);
	assert_true(has("the next one"));
	assert_false(has("one too many"));
}

/* Oldest first, though each kind has its own place; from any number on. */
static void is_read_in_order(void **state)
{
	struct log_entry e;
	u64 seq = first;

	(void)state;
	for (u32 i = 0; i < 60; i++)
		log_limited(i % LOG_KINDS, LOG_INFO, "number %u", i);
	for (u32 i = 0; i < 60; i++, seq = e.seq + 1) {
		char text[32];

		assert_true(log_read(seq, &e));
		format(text, sizeof(text), "number %u", i);
		assert_string_equal(e.text, text);
		assert_int_equal(e.kind, i % LOG_KINDS);
		assert_int_equal(e.seq, first + i);
	}
	assert_false(log_read(seq, &e));
}

static void a_line_has_room_for_a_reason(void **state)
{
	char reason[REASON_LEN], text[2 * LOG_LINE_MAX];
	struct log_entry e;

	(void)state;
	memset(reason, 'r', sizeof(reason) - 1);
	reason[sizeof(reason) - 1] = 0;
	log_error("patch '%055d': %s (%s)", 0, reason, "EPROTONOSUPPORT");
	assert_true(log_read(first, &e));
	assert_non_null(strstr(e.text, "r (EPROTONOSUPPORT)"));
	/* and what has none says so */
	memset(text, 't', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	log_error("%s", text);
	assert_true(log_read(e.seq + 1, &e));
	assert_int_equal(strlen(e.text), LOG_LINE_MAX - 1);
	assert_string_equal(e.text + LOG_LINE_MAX - 5, "t...");
}

#define T(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(provoked_lines_leave_the_older_ones), T(patience_does_not_help),
		T(says_how_many_were_left_out),		T(is_read_in_order),
		T(a_line_has_room_for_a_reason),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
