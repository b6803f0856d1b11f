/* SPDX-License-Identifier: BSD-2-Clause */
/* Hidden redirects: the guest executes the copies and reads and writes its own pages. */
#include "shadow_rig.h"
#include "core/cpu.h"
#include "stage2/shadow_access.h"

static void it_needs_leaves_for_execution_only(void **state)
{
	struct redirect r = redirect_at(1, 2, 100, 5);

	(void)state;
	assert_int_equal(shadow_hide(), -EOPNOTSUPP);
	assert_false(shadow_is_hidden());
	add(&r);
	remove_key(1);
	fake_stage2_format()->exec_only = true;
	assert_int_equal(shadow_hide(), 0);
	assert_true(shadow_is_hidden());
	hidden = true;
	add(&r);
}

/* The instruction, on the calling CPU: it reads where stage 2 leads it. */
static u8 read_byte(u32 page, u32 offset)
{
	struct pt_walk w;

	assert_int_equal(pgtable_lookup(&stage2, IPA(world.ipa[page] + offset), &w), 0);
	assert_int_equal(w.attrs, RWX);
	return *(const u8 *)arch_ptr(PA(w.pa));
}

static void a_read_has_the_guests_own_bytes(void **state)
{
	struct redirect r[] = {redirect_at(1, 2, 100, 5), redirect_at(2, 3, 100, 5)};
	struct pause_stats before, after;

	(void)state;
	add(&r[0]);
	add(&r[1]);
	fake_become(&cpus[1]);
	cpus[1].state = CPU_GUEST;
	pause_stats(&before);
	assert_int_equal(shadow_access_begin(IPA(world.ipa[2] + 100)), 0);
	assert_int_equal(read_byte(2, 100), r[0].old[0]);
	shadow_access_also(IPA(world.ipa[3] + 100));
	assert_int_equal(read_byte(3, 100), r[1].old[0]);
	shadow_access_end();
	pause_stats(&after);
	assert_int_equal(after.count, before.count + 1);
	cpus[1].state = CPU_PARKED;
	fake_become(&cpus[0]);
	check_world();
}

/* A breakpoint, a static key: it is in the guest's page, and the redirect stays whole. */
static void what_the_guest_writes_under_it_is_its_own(void **state)
{
	struct redirect r = redirect_at(1, 4, 100, 5), other = redirect_at(2, 4, 200, 5);

	(void)state;
	add(&r);
	guest_writes(4, 102, 0xcc);
	assert_true(shadow_write_through(IPA(world.ipa[4] + 102), 1));
	check_world();
	/* what it would read of a redirect that it sees is nothing special */
	guest_writes(4, 102, r.bytes[2]);
	assert_true(shadow_write_through(IPA(world.ipa[4] + 102), 1));
	check_world();
	guest_writes(4, 102, 0xcc);
	assert_true(shadow_write_through(IPA(world.ipa[4] + 102), 1));
	add(&other);
	remove_key(2);
	/* nor does it hinder anybody */
	remove_key(1);
	assert_int_equal(memory(4)[102], 0xcc);
}

/* The word of a hook of ftrace, also beside code. */
static void pieces_of_data_are_read(void **state)
{
	struct redirect hook = redirect_at(1, 6, 64, 8), code = redirect_at(2, 6, 200, 5);

	(void)state;
	hook.is_data = true;
	add(&hook);
	add(&code);
	remove_key(1);
	add(&hook);
	assert_int_equal(drop(code.key, code.key + 1), 1);
	check_world();
}

static void a_drop_gives_the_page_back(void **state)
{
	struct redirect r[] = {redirect_at(1, 2, 100, 5), redirect_at(2, 2, 200, 5)};

	(void)state;
	add(&r[0]);
	add(&r[1]);
	guest_writes(2, 101, 0xcc);
	assert_true(shadow_write_through(IPA(world.ipa[2] + 101), 1));
	assert_int_equal(drop(r[0].from, r[0].from + 1), 1);
	check_world();
	assert_int_equal(drop(r[1].from, r[1].from + 1), 1);
	check_world();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_needs_leaves_for_execution_only),
		TEST_HIDDEN(a_read_has_the_guests_own_bytes),
		TEST_HIDDEN(what_the_guest_writes_under_it_is_its_own),
		TEST_HIDDEN(pieces_of_data_are_read),
		TEST_HIDDEN(a_drop_gives_the_page_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
