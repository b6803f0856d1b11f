/* SPDX-License-Identifier: BSD-2-Clause */
/* The order of versions, and that an older version of a patch is refused. */
#include "engine_rig.h"
#include "patch/version.h"

static void orders_versions(void **state)
{
	static const char *const order[] = {"",	     "1",     "1.2", "1.9",	   "1.10",
					    "1.10a", "1.10b", "2-1", "2026.01.30", "2026.2.1"};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(order); i++)
		for (u32 k = 0; k < ARRAY_SIZE(order); k++) {
			int r = version_compare(order[i], order[k]);

			assert_int_equal((r > 0) - (r < 0), (i > k) - (i < k));
		}
	assert_int_equal(version_compare("1.02", "1.2"), 0);
	assert_true(version_compare("18446744073709551617", "18446744073709551616") > 0);
}

/* Of that version, with the name of `fix`. */
static int check(struct rig *rig, const char *version)
{
	struct bundle b;
	size_t size;
	u8 *data;
	int r;

	rig->version = version;
	data = make_bundle(rig, &fix, &size);
	assert_int_equal(bundle_parse(&b, data, size, rig->why, sizeof(rig->why)), 0);
	r = engine_check_version(rig->e, &b, rig->why, sizeof(rig->why));
	rig_free(rig, data, size);
	return r;
}

static void refuses_older_versions(void **state)
{
	struct rig *rig = *state;

	assert_int_equal(check(rig, "1.8"), 0);
	rig->version = "1.9";
	apply(rig, &fix);
	assert_int_equal(revert(rig, "fix"), 0);
	settle(rig, 100);
	assert_int_equal(check(rig, "1.8"), -EEXIST);
	assert_why(rig, "version '1.8' of patch 'fix', and '1.9' has been here");
	assert_int_equal(check(rig, "1.9"), 0);
	assert_int_equal(check(rig, "1.10"), 0);
	/* another that failed says nothing */
	rig->version = "2";
	rig_add(rig, &fix)->load_error = -ENOEXEC;
	assert_int_equal(upload(rig, &fix), 0);
	settle(rig, 100);
	assert_phase(rig, "fix", PHASE_FAILED);
	assert_int_equal(check(rig, "1.8"), 0);
}

static void refuses_below_the_floor(void **state)
{
	struct rig *rig = *state;
	struct floor f;

	assert_true(floor_parse(&f, "fix 1.10"));
	assert_int_equal(floors_raise(&rig->floors, &f), 1);
	assert_int_equal(check(rig, "1.9"), -EEXIST);
	assert_why(rig, "version '1.9' of patch 'fix', and this machine's floor for it is '1.10': "
			"an operator's --allow-downgrade takes an older one");
	assert_int_equal(check(rig, ""), -EEXIST);
	assert_int_equal(check(rig, "1.10"), 0);
	assert_int_equal(check(rig, "2"), 0);
	/* of that patch alone */
	strcpy(rig->floors.list[0].name, "fix_2");
	assert_int_equal(check(rig, "1.9"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(orders_versions),
		cmocka_unit_test_setup_teardown(refuses_older_versions, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(refuses_below_the_floor, rig_setup, rig_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
