/* SPDX-License-Identifier: BSD-2-Clause */
/* Exits that repeat at the same place are counted, and no others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "core/progress.h"
#include "lib/types.h"

static struct progress p;
static u64 registers[16];

static int setup(void **state)
{
	(void)state;
	p = (struct progress){0};
	for (u32 i = 0; i < ARRAY_SIZE(registers); i++)
		registers[i] = i;
	return 0;
}

/* So many exits at pc; how many until one is too much, or 0. */
static u32 exits(u64 pc, u32 count)
{
	for (u32 i = 1; i <= count; i++)
		if (progress_is_none(&p, pc, registers, ARRAY_SIZE(registers)))
			return i;
	return 0;
}

static void an_endless_repetition_ends(void **state)
{
	(void)state;
	assert_int_equal(exits(0x1000, 2 * PROGRESS_LIMIT), PROGRESS_LIMIT);
}

/* The first place may be 0, as a CPU that has just started. */
static void the_first_place_counts_too(void **state)
{
	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(registers); i++)
		registers[i] = 0;
	assert_int_equal(exits(0, 2 * PROGRESS_LIMIT), PROGRESS_LIMIT);
}

static void other_places_are_progress(void **state)
{
	(void)state;
	for (u32 i = 0; i < 5; i++) {
		assert_int_equal(exits(0x1000, PROGRESS_LIMIT - 1), 0);
		assert_int_equal(exits(0x1004, PROGRESS_LIMIT - 1), 0);
	}
}

/* Each register alone: an instruction that counts there works. */
static void counting_registers_are_progress(void **state)
{
	(void)state;
	for (u32 r = 0; r < ARRAY_SIZE(registers); r++)
		for (u32 i = 0; i < PROGRESS_LIMIT; i++, registers[r]--)
			assert_int_equal(exits(0x1000, 1), 0);
}

static void what_goes_on_elsewhere_is_progress(void **state)
{
	(void)state;
	for (u32 i = 0; i < 5; i++) {
		assert_int_equal(exits(0x1000, PROGRESS_LIMIT - 1), 0);
		progress_made(&p);
	}
}

#define T(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(an_endless_repetition_ends),	       T(the_first_place_counts_too),
		T(other_places_are_progress),	       T(counting_registers_are_progress),
		T(what_goes_on_elsewhere_is_progress),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
