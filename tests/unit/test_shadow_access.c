/* SPDX-License-Identifier: BSD-2-Clause */
/* A guest CPU's write to a shadowed page, by its own instruction, on the guest's own page. */
#include "shadow_rig.h"
#include "arch/barrier.h"
#include "arch/time.h"
#include "arch/upcalls.h"
#include "core/cpu.h"
#include "core/log.h"
#include "core/pause.h"
#include "stage2/shadow_access.h"

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
	assert_false(shadow_access_concerns(IPA(world.ipa[3])));
	assert_true(shadow_access_concerns(IPA(world.ipa[2] + 7)));
	assert_int_equal(shadow_access_begin(IPA(world.ipa[2] + 7)), 0);
	execute(2, 7, 0xaa);
	shadow_access_end();
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
	assert_int_equal(shadow_access_begin(IPA(world.ipa[4] + PAGE_SIZE - 8)), 0);
	/* a page that is not shadowed is none of ours */
	shadow_access_also(IPA(world.ipa[9]));
	shadow_access_also(IPA(world.ipa[5]));
	shadow_access_also(IPA(world.ipa[5]));
	execute(4, PAGE_SIZE - 8, 0xbb);
	execute(5, 10, 0xcc);
	shadow_access_end();
	assert_int_equal(attrs_of(4), RX);
	assert_int_equal(attrs_of(5), RX);
	cpus[1].state = CPU_PARKED;
	fake_become(&cpus[0]);
	check_world();
}

#define SCATTERED 6u

/* The next page of the instruction that cannot be written yet: its next fault. */
static u32 faulting_page(void)
{
	u32 page = 0;

	while (page < SCATTERED && attrs_of(page) & PT_WRITE)
		page++;
	return page;
}

/* An instruction that writes to many pages, and ends only if all of them are writable at once. */
static void scatter_over_many_pages(void **state)
{
	struct redirect r[SCATTERED];
	u32 faults = 0, page;

	(void)state;
	for (u32 i = 0; i < SCATTERED; i++) {
		r[i] = redirect_at(1 + i, i, 100, 5);
		add(&r[i]);
	}
	fake_become(&cpus[1]);
	cpus[1].state = CPU_GUEST;
	while ((page = faulting_page()) < SCATTERED && faults < 100)
		if (faults++)
			shadow_access_also(IPA(world.ipa[page] + 7));
		else
			assert_int_equal(shadow_access_begin(IPA(world.ipa[page] + 7)), 0);
	print_message("a scatter over %u shadowed pages ended after %u faults\n", SCATTERED,
		      faults);
	assert_int_equal(faults, 3);
	for (u32 i = 0; i < SCATTERED; i++)
		execute(i, 7, (u8)(0xa0 + i));
	shadow_access_end();
	for (u32 i = 0; i < SCATTERED; i++)
		assert_int_equal(attrs_of(i), RX);
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
	assert_int_equal(shadow_access_begin(IPA(world.ipa[2])), -EAGAIN);
	shadow_access_also(IPA(world.ipa[2]));
	check_world();
}

/* ---- by several CPUs at the same time ---- */

#define WRITES_EACH 300

static u32 written[MAX_CPUS];

/* Each CPU writes to bytes of its own. */
static void guest_stores(struct cpu *c)
{
	u32 n = written[c->id];
	ipa_t at = IPA(world.ipa[2] + c->id);

	if (n == WRITES_EACH || shadow_access_begin(at))
		return;
	execute(2, c->id, (u8)n);
	shadow_access_end();
	WRITE_ONCE(written[c->id], n + 1);
}

static bool all_written(void)
{
	for_each_cpu (c)
		if (c->state != CPU_SERVICE && READ_ONCE(written[c->id]) < WRITES_EACH)
			return false;
	return true;
}

/* None keeps another one waiting longer than its own write takes. */
static void cpus_take_turns(void **state)
{
	struct redirect r = redirect_at(1, 2, 100, 5);
	struct pause_stats before, after;
	u64 start = arch_time_us(), said = log_count(LOG_CPU).kept;

	(void)state;
	add(&r);
	memset(written, 0, sizeof(written));
	pause_stats(&before);
	fake_guest_start(guest_stores);
	while (!all_written() && arch_time_us() < start + 60000000)
		arch_relax();
	assert_true(all_written());
	fake_guest_stop();
	pause_stats(&after);
	assert_int_equal(after.count, before.count + 3 * WRITES_EACH);
	/* nobody was thought dead */
	assert_int_equal(log_count(LOG_CPU).kept, said);
	check_world();
}

static u64 device_from, device_to;

static u32 changed_type(u64 pa, u64 *end)
{
	bool in = pa >= device_from && pa < device_to;

	*end = in ? device_to : pa < device_from ? device_from : UINT64_MAX;
	return in ? PT_DEVICE : 0;
}

/* The guest changes the type of a page's memory while it is shadowed: from then on it has that. */
static void the_type_changes_meanwhile(void **state)
{
	struct redirect r = redirect_at(1, 2, 100, 5);

	(void)state;
	fake_stage2_format()->memory_type = changed_type;
	device_from = device_to = world.ipa[2];
	add(&r);
	device_to += PAGE_SIZE;
	assert_int_equal(stage2_retype(device_from, device_to), 0);
	check_world(); /* the copy is the monitor's memory */
	fake_become(&cpus[1]);
	cpus[1].state = CPU_GUEST;
	assert_int_equal(shadow_access_begin(IPA(world.ipa[2] + 7)), 0);
	assert_int_equal(attrs_of(2), RWX | PT_DEVICE);
	execute(2, 7, 0xaa);
	shadow_access_end();
	cpus[1].state = CPU_PARKED;
	fake_become(&cpus[0]);
	check_world();
	plan_begin();
	assert_int_equal(shadow_plan_remove(world.plan, 1), 0);
	assert_int_equal(plan_carry_out(), 0);
	model_remove(1);
	assert_int_equal(attrs_of(2), RWX | PT_DEVICE);
	device_to = device_from;
	assert_int_equal(stage2_retype(world.ipa[2], world.ipa[2] + PAGE_SIZE), 0);
	check_world();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_page),
		TEST(across_two_pages),
		TEST(scatter_over_many_pages),
		TEST(nothing_is_shadowed_any_more),
		TEST(cpus_take_turns),
		TEST(the_type_changes_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
