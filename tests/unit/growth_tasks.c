/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a check of the guest's stacks costs, by the number of tasks that sleep: the one in the pause
 * is the same for any number, the look before it grows with their number (blocks.h).
 */
#include "check_rig.h"
#include "watch_rig.h"
#include "blocks.h"
#include "core/pool.h"

static const u32 numbers[] = {10, 100, 1000};

#define ROUNDS ARRAY_SIZE(numbers)

static int setup_watch(void **state)
{
	int err = setup(state);

	watch_new(2000);
	use_ahead = true;
	return err;
}

static int after(void **state)
{
	(void)state;
	check_ahead_forget();
	guest_watch_end();
	return 0;
}

/* What one number of tasks costs. */
struct cost {
	u64 pause, look;  /* in blocks */
	u64 tasks, words; /* that the pause looks at */
	u64 without;	  /* the pause's blocks if there was no look before it */
	u64 without_words;
};

static struct cost measure(void)
{
	struct cost c;
	u64 before = blocks;

	assert_int_equal(watch_begin(), 0);
	before = blocks;
	assert_int_equal(check_ahead(ranges, nr_ranges, UINT64_MAX), 0);
	c.look = blocks - before;

	before = blocks;
	assert_safe();
	c.pause = blocks - before;
	c.tasks = report.tasks_checked - report.tasks_before_pause;
	c.words = report.words_checked;

	use_ahead = false;
	before = blocks;
	assert_safe();
	c.without = blocks - before;
	c.without_words = report.words_checked;
	use_ahead = true;
	return c;
}

static void tasks_that_sleep(void **state)
{
	struct cost c[ROUNDS];
	u32 made = 0;

	(void)state;
	for (u32 i = 0; i < ROUNDS; i++) {
		for (; made < numbers[i]; made++)
			syn_sleep(syn_task(1000 + made, "t"), 0x400);
		c[i] = measure();
		print_message("%u tasks sleep: a pause of %llu blocks looks at %llu tasks and %llu "
			      "words; before it %llu blocks; without that look a pause of %llu "
			      "blocks and %llu words\n",
			      numbers[i], c[i].pause, c[i].tasks, c[i].words, c[i].look,
			      c[i].without, c[i].without_words);
	}
	for (u32 i = 1; i < ROUNDS; i++) {
		assert_int_equal(c[i].pause, c[0].pause);
		assert_int_equal(c[i].tasks, c[0].tasks);
		assert_int_equal(c[i].words, c[0].words);
		/* ten times as many: at most as n log n */
		assert_true(c[i].look <= 12 * c[i - 1].look);
		assert_true(c[i].without <= 12 * c[i - 1].without);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(tasks_that_sleep, setup_watch, after),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
