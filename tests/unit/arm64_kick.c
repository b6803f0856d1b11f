/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How stage 2 is taken away and given back: in which order tables, barriers and invalidations come
 * (DDI 0487, D8.16.1), and that nobody gives it back in a pause.
 */
#include "../../arch/arm64/pt_format.h"
#include "arm64_processor.h"
#include "arch/memory.h"
#include "core/pause.h"
#include "fake.h"
#include "leaf.h"
#include "stage2/pgtable.h"

#define GIB	    (1ull << 30)
#define ENTRIES	    1024
#define ALL_IS_GONE "dsb ishst; tlbi vmalls12e1is; dsb ish; isb"

static struct pt_format tables;
static u64 *root, before[ENTRIES];

static int setup(void **state)
{
	(void)state;
	memset(&processor, 0, sizeof(processor));
	fake_reset(2);
	stage2_format(&tables, 40, stage2_invalidate);
	assert_int_equal(pgtable_init(&stage2, &tables), 0);
	assert_int_equal(pgtable_map(&stage2, IPA(0), PA(0), 5 * GIB, PT_READ | PT_EXEC), 0);
	root = arch_ptr(stage2.root);
	memcpy(before, root, sizeof(before));
	stage2_give_back(true);
	processor.done[0] = 0;
	return 0;
}

static bool is_taken(void)
{
	for (u32 i = 0; i < ENTRIES; i++)
		if (root[i] & 1)
			return false;
	return true;
}

static bool is_there(void)
{
	return !memcmp(before, root, sizeof(before));
}

static void nothing_is_valid(const char *text)
{
	if (strncmp(text, "dsb", 3) == 0 || strncmp(text, "tlbi", 4) == 0)
		assert_true(is_taken());
}

static void a_kick_takes_stage2_away(void **state)
{
	(void)state;
	cpus[1].state = CPU_GUEST;
	processor.look = nothing_is_valid;
	arch_kick(&cpus[1]);
	assert_true(is_taken());
	assert_executed(ALL_IS_GONE "; sev");
	/* it is gone: again, for the one that has not come yet */
	arch_kick(&cpus[1]);
	assert_executed("sev");
}

/* One that is halted comes by pause_point() before it enters the guest. */
static void who_is_not_in_the_guest_is_not_kicked(void **state)
{
	static const u32 states[] = {CPU_ABSENT, CPU_PARKED, CPU_IDLE, CPU_SERVICE, CPU_DEAD};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(states); i++) {
		cpus[1].state = states[i];
		arch_kick(&cpus[1]);
		assert_true(is_there());
		assert_executed("");
	}
}

static void it_comes_back_after_the_pause(void **state)
{
	struct pause p;

	(void)state;
	arch_stage2_flush_local();
	assert_executed("isb"); /* it was there */
	assert_int_equal(pause_begin(&p, 1000000), 0);
	cpus[1].state = CPU_GUEST;
	arch_kick(&cpus[1]);
	assert_executed(ALL_IS_GONE "; sev");
	/* a CPU that came out of another pause */
	arch_stage2_flush_local();
	assert_true(is_taken());
	assert_executed("isb");
	cpus[1].state = CPU_HELD;
	pause_end(&p);
	arch_stage2_flush_local();
	assert_true(is_there());
	assert_executed("dsb ishst; isb; isb");
	arch_stage2_flush_local();
	assert_executed("isb");
}

/* Whoever steps through a write has stopped the guest, and needs it. */
static void the_holder_takes_it_back(void **state)
{
	struct pause p;

	(void)state;
	assert_int_equal(pause_begin(&p, 1000000), 0);
	cpus[1].state = CPU_GUEST;
	arch_kick(&cpus[1]);
	stage2_give_back(true);
	assert_true(is_there());
	cpus[1].state = CPU_HELD;
	pause_end(&p);
}

/* A page of the guest's may be in TLBs by stage 2 alone, and with stage 1. */
static void translations_of_both_kinds_go(void **state)
{
	(void)state;
	stage2_invalidate(0x40201000, PAGE_SIZE);
	assert_executed("dsb ishst; tlbi ipas2e1is 0x40201; dsb ish; tlbi vmalle1is; dsb ish; isb");
	stage2_invalidate(0x40200000, 0x200000);
	assert_executed(ALL_IS_GONE);
}

/* The walker's change of a leaf: broken, then invalidated, then made. */
static u32 looked;

static void leaf_is_broken(const char *text)
{
	struct pt_walk w;

	if (strncmp(text, "tlbi", 4) != 0)
		return;
	looked++;
	assert_int_not_equal(pgtable_lookup(&stage2, IPA(0x201000), &w), 0);
}

static void a_leaf_is_broken_before_it_is_invalidated(void **state)
{
	struct pt_walk w;

	(void)state;
	assert_int_equal(pgtable_split(&stage2, IPA(0x201000), NULL), 0);
	processor.done[0] = 0;
	looked = 0;
	processor.look = leaf_is_broken;
	assert_int_equal(set_leaf(&stage2, IPA(0x201000), PA(0x7000), PT_EXEC), 0);
	assert_int_equal(looked, 2);
	assert_executed("dsb ishst; tlbi ipas2e1is 0x201; dsb ish; tlbi vmalle1is; dsb ish; isb");
	assert_int_equal(pgtable_lookup(&stage2, IPA(0x201000), &w), 0);
	assert_int_equal(w.pa, 0x7000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_kick_takes_stage2_away, setup),
		cmocka_unit_test_setup(who_is_not_in_the_guest_is_not_kicked, setup),
		cmocka_unit_test_setup(it_comes_back_after_the_pause, setup),
		cmocka_unit_test_setup(the_holder_takes_it_back, setup),
		cmocka_unit_test_setup(translations_of_both_kinds_go, setup),
		cmocka_unit_test_setup(a_leaf_is_broken_before_it_is_invalidated, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
