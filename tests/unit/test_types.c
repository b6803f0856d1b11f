/* SPDX-License-Identifier: BSD-2-Clause */
/* Macros that look like functions. */
#include "fake.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static u64 calls;

static u64 next(void)
{
	return ++calls;
}

/* An argument may be a call that does something, as in `next_us = MIN(next_us, engine_tick(e))`. */
static void test_evaluated_once(void **state)
{
	(void)state;
	assert_int_equal(MIN(5u, next()), 1);
	assert_int_equal(MIN(next(), 5u), 2);
	assert_int_equal(MAX(1u, next()), 3);
	assert_int_equal(MAX(next(), 1u), 4);
	assert_int_equal(MIN(MAX(next(), 3u), 9u), 5);
	assert_int_equal(calls, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_evaluated_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
