/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the check costs in the pause grows with the number of CPUs and with the number of tasks, and
 * not with their product: see growth.h.
 */
#define SYN_MAX_CPU_IDS 256
#include "check_rig.h"
#include "growth.h"

#define TASKS 5000u

/*
 * Threads of one process that have exited, of which there is only what the check reads of such.
 * Their structures overlap, so that they fit in the simulated memory.
 */
static void add_tasks(u32 count)
{
	u64 at = syn_alloc((count + 1) * PAGE_SIZE), signal = syn_alloc(PAGE_SIZE);

	if (!count)
		return;
	syn_list_init(signal + SIGNAL_THREAD_HEAD);
	syn_set(at + TASK_SIGNAL, signal);
	syn_list_add_tail(at + TASK_TASKS, syn.hello.layout.init_task + TASK_TASKS);
	for (u32 i = 0; i < count; i++)
		syn_list_add_tail(at + i * PAGE_SIZE + TASK_THREAD_NODE,
				  signal + SIGNAL_THREAD_HEAD);
}

static u64 cost_of(u32 cpu_count, u32 tasks)
{
	u64 before, checked = tasks + cpu_count;

	syn_new(cpu_count);
	fake_time_set(1000, 0);
	add_tasks(tasks);
	nr_ranges = 0;
	add_range(FUNC_START, FUNC_END, "func");
	pause_ = (struct pause){.deadline_us = 10000};
	before = blocks;
	assert_safe();
	assert_int_equal(report.tasks_checked, checked);
	return blocks - before;
}

static void not_the_product(void **state)
{
	u64 few = cost_of(4, 0), many = cost_of(256, 0);
	u64 tasks_few = cost_of(4, TASKS) - few, tasks_many = cost_of(256, TASKS) - many;

	(void)state;
	print_message(
		"the check: %llu blocks for 4 CPUs, %llu for 256; %u tasks more: %llu and %llu "
		"blocks\n",
		few, many, TASKS, tasks_few, tasks_many);
	/* 64 times as many CPUs, n log n */
	assert_true(many < few * 64 * 4);
	assert_true(tasks_many < tasks_few * 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(not_the_product),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
