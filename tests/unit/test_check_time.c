/* SPDX-License-Identifier: BSD-2-Clause */
/* Whatever the guest has on its lists, the check ends when its time is over. */
#include "check_rig.h"
#include "watch_rig.h"
#include "arch/time.h"

/* The list has millions of processes without threads, say: the check ends with the pause. */
static void a_long_list_of_tasks(void **state)
{
	u64 start, took;

	(void)state;
	syn_processes_without_threads(100000);
	start = now_ns();
	fake_time_set(1000, 100);
	assert_not_judged(-ETIMEDOUT, "the pause was too short");
	took = arch_time_us() - 1000;
	print_message("a list of 100,000: ended after %llu looks at the clock (%llu us)\n",
		      (unsigned long long)took / 100,
		      (unsigned long long)((now_ns() - start) / 1000));
	assert_true(took <= 10000);
}

/* Full rings of many CPUs, of tasks that are not there: a look ends in time, and the next goes on.
 */
static void many_events_take_many_looks(void **state)
{
	u64 before;
	u32 looks = 1;
	int err;

	(void)state;
	watch_new(100);
	assert_int_equal(watch_begin(), 0);
	assert_int_equal(check_ahead(ranges, nr_ranges, UINT64_MAX), 0);
	for (u32 cpu = 0; cpu < SYN_MAX_CPU_IDS; cpu++)
		for (u32 i = 0; i < SUTURE_WATCH_EVENTS / 2; i++)
			watch_event(cpu, sleeper, 1, false);
	fake_time_set(1000, 100);
	for (;; looks++) {
		before = arch_time_us();
		err = check_ahead(ranges, nr_ranges, before + 1000);
		assert_true(arch_time_us() <= before + 1500);
		if (err != -EAGAIN)
			break;
	}
	print_message("%u events: %u looks of 1 ms at 100 us for 64\n",
		      SYN_MAX_CPU_IDS * SUTURE_WATCH_EVENTS / 2, looks);
	assert_int_equal(err, 0);
	assert_true(looks > 1);
	check_ahead_forget();
	guest_watch_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_long_list_of_tasks),
		TEST(many_events_take_many_looks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
