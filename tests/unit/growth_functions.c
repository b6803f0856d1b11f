/* SPDX-License-Identifier: BSD-2-Clause */
/* The cost of switches, drops and the guest's writes: see growth.h. */
#include "switch_rig.h"
#include "growth.h"

static u64 paused; /* blocks executed in pauses */

/* pause_begin() and pause_end() are called through these. */
int __real_pause_begin(struct pause *p, u64 budget_us);
int __wrap_pause_begin(struct pause *p, u64 budget_us);
void __real_pause_end(struct pause *p);
void __wrap_pause_end(struct pause *p);

int __wrap_pause_begin(struct pause *p, u64 budget_us)
{
	int err = __real_pause_begin(p, budget_us);

	paused -= blocks;
	return err;
}

void __wrap_pause_end(struct pause *p)
{
	paused += blocks;
	__real_pause_end(p);
}

/* ---- the switch ---- */

/* Functions in an order that is not that of their addresses. */
static void add_functions(u32 count, bool on)
{
	set.count = 0;
	for (u32 i = 0; i < count; i++) {
		u64 at = SYN_TEXT + 0x10000 + (u64)(i * 2654435761u % count) * 0x40;

		add_func("f", at, on ? at : NEW_A, on ? NEW_A : 0);
		funcs[i].old_size = funcs[i].active_size = 0x40;
	}
}

/* The functions of the i-th size, in a new guest. */
static void begin_with(void **state, u32 i)
{
	if (i) {
		teardown(state);
		setup(state);
	}
	add_functions(sizes[i], true);
}

static void a_switch_and_back(void **state)
{
	u64 apply[3], apply_paused[3], revert[3], revert_paused[3], before;

	for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
		begin_with(state, i);
		before = blocks;
		paused = 0;
		assert_done();
		assert_int_equal(report.functions_verified, sizes[i]);
		apply[i] = blocks - before;
		apply_paused[i] = paused;

		add_functions(sizes[i], false);
		before = blocks;
		paused = 0;
		assert_done();
		revert[i] = blocks - before;
		revert_paused[i] = paused;
		assert_int_equal(redirects(), 0);
	}
	assert_growth("apply", apply);
	assert_growth("apply, paused", apply_paused);
	assert_growth("revert", revert);
	assert_growth("revert, paused", revert_paused);
}

/* One function more, above thousands: an attempt costs as much as they are, no more. */
static void one_more_on_top(void **state)
{
	u64 cost[3], before;

	for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
		begin_with(state, i);
		assert_done();
		set.count = 0;
		add_func("a", A, A, NEW_B);
		before = blocks;
		assert_done();
		cost[i] = blocks - before;
	}
	assert_growth("one more", cost);
}

/* All are dropped in one pause, when the payload's memory is freed. */
static void a_drop(void **state)
{
	u64 cost[3], before;

	for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
		begin_with(state, i);
		assert_done();
		before = blocks;
		assert_int_equal(shadow_drop_range(NEW_A, NEW_A + 1, NULL, NULL), sizes[i]);
		cost[i] = blocks - before;
	}
	assert_growth("drop", cost);
}

/* A write of the guest's to a page: the redirects of other pages are not looked at. */
static void a_write_of_the_guest(void **state)
{
	u64 cost[3], before;

	for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
		begin_with(state, i);
		assert_done();
		before = blocks;
		assert_true(shadow_write_through(IPA(arch_pa(syn_at(SYN_TEXT + 0x10000)).v), 1));
		cost[i] = blocks - before;
	}
	print_message("a write: %llu, %llu, %llu blocks\n", cost[0], cost[1], cost[2]);
	assert_true(cost[2] < 2 * cost[0]);
}

/* A hundred functions on as many pages. */
static void a_hundred_pages(void **state)
{
	u64 shadow, before = pool_used();

	(void)state;
	for (u32 i = 0; i < 100; i++)
		add_func("f", SYN_TEXT + 0x10000 + i * PAGE_SIZE,
			 SYN_TEXT + 0x10000 + i * PAGE_SIZE, NEW_A);
	assert_done();
	shadow = (pool_used() - before) * PAGE_SIZE;
	print_message("100 pages: shadow pages of %llu KiB\n", shadow >> 10);
	assert_true(shadow <= 1 << 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_switch_and_back),    TEST(one_more_on_top), TEST(a_drop),
		TEST(a_write_of_the_guest), TEST(a_hundred_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
