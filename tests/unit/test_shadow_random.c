/* SPDX-License-Identifier: BSD-2-Clause */
/* Plans, drops and writes in random order, also while guest CPUs read the redirects. */
#include "shadow_rig.h"

/* ---- anything, many times ---- */

static bool model_overlaps(const struct redirect *r)
{
	for (u32 i = 0; i < world.nr; i++) {
		const struct redirect *o = &world.in_force[i];

		if (r->from < o->from + o->len && o->from < r->from + r->len)
			return true;
	}
	return false;
}

#define MOST_PIECES 4

static u32 random_pieces(struct redirect *r)
{
	u32 count = 1 + (u32)(rnd(2) * rnd(MOST_PIECES));
	u64 key = rnd(1u << 30);

	for (u32 i = 0; i < count; i++)
		r[i] = redirect_at(key, (u32)rnd(PAGES - 1),
				   (u32)rnd(4) ? (u32)rnd(PAGE_SIZE) : PAGE_SIZE - 3,
				   1 + (u32)rnd(REDIRECT_MAX));
	return count;
}

static bool pieces_overlap(const struct redirect *r, u32 count)
{
	for (u32 i = 0; i < count; i++) {
		if (model_overlaps(&r[i]))
			return true;
		for (u32 j = 0; j < i; j++)
			if (r[i].from < r[j].from + r[j].len && r[j].from < r[i].from + r[i].len)
				return true;
	}
	return false;
}

static bool is_touched(const struct redirect *r)
{
	return !hidden && memcmp(&world.truth[0][0] + (r->from - TEXT), r->old, r->len) != 0;
}

static void random_plan(void)
{
	struct redirect removed[8 * MOST_PIECES], added[8 * MOST_PIECES];
	bool touched = false;
	u32 nr_removed = 0, nr_added = 0;

	plan_begin();
	for (u32 n = (u32)rnd(8); n && world.nr; n--) {
		u64 key = world.in_force[rnd(world.nr)].key;

		for (u32 i = 0; i < world.nr; i++)
			if (world.in_force[i].key == key)
				removed[nr_removed++] = world.in_force[i];
		assert_int_equal(shadow_plan_remove(world.plan, key), 0);
		model_remove(key);
	}
	for (u32 n = (u32)rnd(8); n && world.nr < 200; n--) {
		struct redirect r[MOST_PIECES];
		u32 count = random_pieces(r);
		bool overlap = pieces_overlap(r, count);

		assert_int_equal(shadow_plan_add(world.plan, r, count), overlap ? -ENOSPC : 0);
		for (u32 i = 0; !overlap && i < count; i++) {
			model_add(&r[i]);
			added[nr_added++] = r[i];
		}
	}
	for (u32 i = 0; i < nr_removed; i++)
		touched |= is_touched(&removed[i]);
	if (rnd(4)) {
		assert_int_equal(plan_carry_out(), touched ? -EBUSY : 0);
		if (!touched)
			return;
	} else {
		assert_int_equal(shadow_plan_prepare(world.plan), 0);
		plan_abort();
	}
	while (nr_added)
		model_remove(added[--nr_added].key);
	while (nr_removed)
		model_add(&removed[--nr_removed]);
}

/* The model of a write-back: all bytes of a redirect hold what was there or what is read there. */
static void model_write_back(const struct redirect *r)
{
	u8 *truth = &world.truth[0][0] + (r->from - TEXT);

	for (u32 k = 0; k < r->len; k++)
		if (truth[k] != r->old[k] && truth[k] != r->bytes[k])
			return;
	memcpy(truth, r->old, r->len);
}

static void random_write(void)
{
	u32 page = (u32)rnd(PAGES), offset = (u32)rnd(PAGE_SIZE - 16), len = 1 + (u32)rnd(16);
	u8 seen_by_guest[PAGE_SIZE];

	/* Often at a redirect, and then often what can be read there. */
	if (world.nr && rnd(2)) {
		const struct redirect *r = &world.in_force[rnd(world.nr)];

		page = (u32)((r->from - TEXT) / PAGE_SIZE);
		offset = MIN(offset, (u32)(r->from % PAGE_SIZE));
	}
	model_page(page, seen_by_guest);
	for (u32 i = 0; i < len; i++)
		guest_writes(page, offset + i, rnd(4) ? seen_by_guest[offset + i] : (u8)rnd(256));
	for (u32 i = 0; !hidden && i < world.nr; i++) {
		const struct redirect *r = &world.in_force[i];
		u64 start = TEXT + page * PAGE_SIZE + offset;

		if (r->from < start + len && start < r->from + r->len)
			model_write_back(r);
	}
	shadow_write_through(IPA(world.ipa[page] + offset), len);
}

static void anything_in_any_order(void **state)
{
	u32 plans = 0, drops = 0, writes = 0;

	(void)state;
	for (u32 i = 0; i < 10000; i++) {
		u64 start = TEXT + rnd(PAGES * PAGE_SIZE);

		switch (rnd(10)) {
		case 8:
		case 9:
			if (world.nr && !hidden)
				write_back(&world.in_force[rnd(world.nr)]);
			break;
		case 0:
			drops += (u32)drop(start, start + rnd(PAGE_SIZE));
			break;
		case 1:
			shadow_reap();
			break;
		case 2:
		case 3:
			random_write();
			writes++;
			break;
		default:
			random_plan();
			plans++;
		}
		check_world();
	}
	print_message("%u plans, %u redirects dropped, %u writes\n", plans, drops, writes);
}

/* ---- with guest CPUs that run ---- */

static struct {
	u64 looks, torn, versions[256];
} seen;

/* Reads two redirects of one patch, each through the tables: never of two versions. */
static void guest_looks(struct cpu *c)
{
	u8 byte[2];

	(void)c;
	for (u32 i = 0; i < 2; i++) {
		struct pt_walk w;

		if (pgtable_lookup(&stage2, IPA(world.ipa[i] + 10), &w))
			return;
		byte[i] = *(volatile u8 *)arch_ptr(PA(w.pa));
		arch_relax();
	}
	__atomic_fetch_add(&seen.looks, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&seen.versions[byte[0]], 1, __ATOMIC_RELAXED);
	if (byte[0] != byte[1])
		__atomic_fetch_add(&seen.torn, 1, __ATOMIC_RELAXED);
}

/* Wait until the guest has looked again, on more than one CPU. */
static void guest_goes_on(void)
{
	u64 looks = __atomic_load_n(&seen.looks, __ATOMIC_RELAXED);

	while (__atomic_load_n(&seen.looks, __ATOMIC_RELAXED) < looks + 10)
		arch_relax();
}

static void all_pages_change_at_once(void **state)
{
	u32 switched = 0, timeouts = 0;
	struct pause pause;

	(void)state;
	memset(&seen, 0, sizeof(seen));
	guest_writes(0, 10, 0);
	guest_writes(1, 10, 0);
	fake_guest_start(guest_looks);
	while (switched < 300) {
		int err = 0;

		plan_begin();
		for (u32 i = 0; i < 2; i++) {
			struct redirect r = redirect_at(i, i, 10, 1);

			r.bytes[0] = (u8)(1 + switched % 255);
			if (shadow_plan_remove(world.plan, i))
				assert_int_equal(switched, 0);
			assert_int_equal(shadow_plan_add(world.plan, &r, 1), 0);
		}
		assert_int_equal(shadow_plan_prepare(world.plan), 0);
		err = pause_begin(&pause, 100000);
		if (!err) {
			assert_int_equal(shadow_plan_fill(world.plan), 0);
			err = pause_commit(&pause, shadow_plan_apply, world.plan);
			/* without a commit they may have let themselves go meanwhile */
			if (!err) {
				assert_int_equal(pause.cpus_held, 3);
				shadow_plan_apply(world.plan);
			}
			pause_end(&pause);
		}
		shadow_plan_finish(world.plan);
		world.plan = NULL;
		switched += !err;
		timeouts += err != 0;
		guest_goes_on();
	}
	fake_guest_stop();
	for (u32 i = 0; i < ARRAY_SIZE(seen.versions); i++)
		seen.versions[i] = seen.versions[i] != 0;
	for (u32 i = 1; i < ARRAY_SIZE(seen.versions); i++)
		seen.versions[0] += seen.versions[i];
	print_message("%u switches, %u pauses too short; %llu looks saw %llu versions, none torn\n",
		      switched, timeouts, (unsigned long long)seen.looks,
		      (unsigned long long)seen.versions[0]);
	assert_int_equal(seen.torn, 0);
	assert_true(seen.versions[0] > 200);
}

/* Leaves of stage 2 that hold several of the guest's pages. */
static int setup_16k(void **state)
{
	stage2_page_shift = 14;
	return setup(state);
}

static int setup_64k(void **state)
{
	stage2_page_shift = 16;
	return setup(state);
}

static int teardown_large(void **state)
{
	int err = teardown(state);

	stage2_page_shift = PAGE_SHIFT;
	return err;
}

static void anything_in_pages_of_16k(void **state)
{
	anything_in_any_order(state);
}

static void anything_in_pages_of_64k(void **state)
{
	anything_in_any_order(state);
}

static void anything_hidden(void **state)
{
	anything_in_any_order(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(anything_in_any_order),
		cmocka_unit_test_setup_teardown(anything_in_pages_of_16k, setup_16k,
						teardown_large),
		cmocka_unit_test_setup_teardown(anything_in_pages_of_64k, setup_64k,
						teardown_large),
		TEST_HIDDEN(anything_hidden),
		TEST(all_pages_change_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
