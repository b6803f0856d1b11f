/* SPDX-License-Identifier: BSD-2-Clause */
/* The floors of versions: what a line and a variable may have, and that floors only rise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lib/errno.h"
#include "lib/format.h"
#include "lib/string.h"
#include "patch/floor.h"

static struct floor floor_of(const char *text)
{
	struct floor f;

	assert_true(floor_parse(&f, text));
	return f;
}

static int raise(struct floors *all, const char *text)
{
	struct floor f = floor_of(text);

	return floors_raise(all, &f);
}

static void one_line(void **state)
{
	static const char *const bad[] = {
		"",	 " ",	    "fix",	 "fix ",	 " 1.2",     "Fix 1.2",
		"a-b 1", "fix 1 2", "fix\001 1", "fix \xc3\xa4", "fix 1\t2", "fix=1 2"};
	char text[256];
	struct floor f = floor_of("fix_1 \t 1.10-rc~2");

	(void)state;
	assert_string_equal(f.name, "fix_1");
	assert_string_equal(f.version, "1.10-rc~2");
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++)
		if (floor_parse(&f, bad[i]))
			fail_msg("taken: \"%s\"", bad[i]);
	format(text, sizeof(text), "%055d 1", 0);
	assert_true(floor_parse(&f, text));
	format(text, sizeof(text), "%056d 1", 0);
	assert_false(floor_parse(&f, text));
	format(text, sizeof(text), "fix %063d", 0);
	assert_true(floor_parse(&f, text));
	format(text, sizeof(text), "fix %064d", 0);
	assert_false(floor_parse(&f, text));
}

static void they_only_rise(void **state)
{
	struct floors all = {0};

	(void)state;
	assert_null(floors_version(&all, "fix"));
	assert_int_equal(raise(&all, "fix 1.9"), 1);
	assert_int_equal(raise(&all, "other 3"), 1);
	assert_int_equal(raise(&all, "fix 1.10"), 1);
	assert_int_equal(raise(&all, "fix 1.10"), 0);
	assert_int_equal(raise(&all, "fix 1.9"), 0);
	assert_int_equal(all.count, 2);
	assert_string_equal(floors_version(&all, "fix"), "1.10");
	assert_string_equal(floors_version(&all, "other"), "3");
}

static void a_full_table(void **state)
{
	struct floors all = {0};
	char text[32];

	(void)state;
	for (u32 i = 0; i < FLOORS_MAX; i++) {
		format(text, sizeof(text), "fix%u 1", i);
		assert_int_equal(raise(&all, text), 1);
	}
	assert_int_equal(raise(&all, "more 1"), -ENOSPC);
	assert_null(floors_version(&all, "more"));
	/* those that are there rise all the same */
	assert_int_equal(raise(&all, "fix31 2"), 1);
	assert_string_equal(floors_version(&all, "fix31"), "2");
	assert_int_equal(all.count, FLOORS_MAX);
}

static void of_a_variable(void **state)
{
	struct floor data[FLOORS_MAX + 1] = {floor_of("fix 1"), floor_of("other 2")};
	struct floors all = {0};

	(void)state;
	assert_int_equal(floors_load(&all, data, 0), 0);
	assert_int_equal(all.count, 0);
	assert_int_equal(floors_load(&all, data, 2 * sizeof(*data)), 0);
	assert_string_equal(floors_version(&all, "other"), "2");
	assert_int_equal(floors_load(&all, data, 2 * sizeof(*data) - 1), -EINVAL);
	assert_int_equal(all.count, 0);
	/* twice the same, and one without an end */
	data[1] = data[0];
	assert_int_equal(floors_load(&all, data, 2 * sizeof(*data)), -EINVAL);
	memset(data[1].version, 'x', sizeof(data[1].version));
	assert_int_equal(floors_load(&all, data, 2 * sizeof(*data)), -EINVAL);
	memset(data[1].name, 'x', sizeof(data[1].name));
	assert_int_equal(floors_load(&all, data, 2 * sizeof(*data)), -EINVAL);
	for (u32 i = 0; i < ARRAY_SIZE(data); i++) {
		data[i] = floor_of("fix 1");
		format(data[i].name, sizeof(data[i].name), "fix%u", i);
	}
	assert_int_equal(floors_load(&all, data, sizeof(data)), -EINVAL);
	assert_int_equal(floors_load(&all, data, FLOORS_MAX * sizeof(*data)), 0);
	assert_int_equal(all.count, FLOORS_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_line),
		cmocka_unit_test(they_only_rise),
		cmocka_unit_test(a_full_table),
		cmocka_unit_test(of_a_variable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
