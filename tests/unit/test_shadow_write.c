/* SPDX-License-Identifier: BSD-2-Clause */
/* A guest CPU's write to a shadowed page, by its own instruction, on the guest's own page. */
#include "shadow_rig.h"
#include "core/cpu.h"
#include "stage2/shadow_write.h"

static u32 attrs_of(u32 page)
{
	struct pt_walk w;

	assert_int_equal(pgtable_lookup(&stage2, IPA(world.ipa[page]), &w), 0);
	return w.attrs;
}

/* The instruction: it writes where stage 2 leads it. */
static void execute(u32 page, u32 offset, u8 byte)
{
	struct pt_walk w;

	assert_int_equal(pgtable_lookup(&stage2, IPA(world.ipa[page] + offset), &w), 0);
	assert_true(w.attrs & PT_WRITE);
	*(u8 *)arch_ptr(PA(w.pa)) = world.truth[page][offset] = byte;
}

static void one_page(void **state)
{
	struct redirect r = redirect_at(1, 2, 100, 5);
	struct pause_stats before, after;

	(void)state;
	add(&r);
	fake_become(&cpus[1]);
	cpus[1].state = CPU_GUEST;
	pause_stats(&before);
	assert_false(shadow_write_concerns(IPA(world.ipa[3])));
	assert_true(shadow_write_concerns(IPA(world.ipa[2] + 7)));
	assert_int_equal(shadow_write_begin(IPA(world.ipa[2] + 7)), 0);
	execute(2, 7, 0xaa);
	shadow_write_end();
	assert_int_equal(attrs_of(2), RX);
	pause_stats(&after);
	assert_int_equal(after.count, before.count + 1);
	cpus[1].state = CPU_PARKED;
	fake_become(&cpus[0]);
	check_world();
}

static void across_two_pages(void **state)
{
	struct redirect r = redirect_at(1, 4, PAGE_SIZE - 2, 5);

	(void)state;
	add(&r);
	fake_become(&cpus[1]);
	cpus[1].state = CPU_GUEST;
	assert_int_equal(shadow_write_begin(IPA(world.ipa[4] + PAGE_SIZE - 8)), 0);
	/* a page that is not shadowed is none of ours, a third one cannot be */
	shadow_write_also(IPA(world.ipa[9]));
	shadow_write_also(IPA(world.ipa[5]));
	shadow_write_also(IPA(world.ipa[5]));
	execute(4, PAGE_SIZE - 8, 0xbb);
	execute(5, 10, 0xcc);
	shadow_write_end();
	assert_int_equal(attrs_of(4), RX);
	assert_int_equal(attrs_of(5), RX);
	cpus[1].state = CPU_PARKED;
	fake_become(&cpus[0]);
	check_world();
}

/* The redirect went while the CPU waited for its pause: then the page is the guest's again. */
static void nothing_is_shadowed_any_more(void **state)
{
	struct redirect r = redirect_at(1, 2, 100, 5);

	(void)state;
	add(&r);
	assert_int_equal(drop(0, UINT64_MAX), 1);
	assert_int_equal(shadow_write_begin(IPA(world.ipa[2])), -EAGAIN);
	shadow_write_also(IPA(world.ipa[2]));
	check_world();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_page),
		TEST(across_two_pages),
		TEST(nothing_is_shadowed_any_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
