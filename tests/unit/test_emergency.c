/* SPDX-License-Identifier: BSD-2-Clause */
/* The fault dump of a CPU (core/emergency.h). */
#include "arch/platform.h"
#include "core/emergency.h"
#include "lib/string.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define IMAGE	   0x37a00000ull
#define IMAGE_SIZE 0x100000ull

static char said[4096];
static size_t length;

void arch_debug_putc(char c)
{
	assert_true(length + 1 < sizeof(said));
	said[length++] = c;
	said[length] = 0;
}

static int setup(void **state)
{
	(void)state;
	said[0] = 0;
	length = 0;
	return 0;
}

static void a_line(void **state)
{
	(void)state;
	emergency("vector %u", 14u);
	assert_string_equal(said, "vector 14\n");
}

static void words_of_the_image(void **state)
{
	u64 *page = aligned_alloc(PAGE_SIZE, PAGE_SIZE);

	(void)state;
	memset(page, 0, PAGE_SIZE);
	page[509] = IMAGE + 0x1234;
	page[510] = IMAGE + IMAGE_SIZE; /* behind it */
	page[511] = IMAGE;
	emergency_stack(page + 500, IMAGE, IMAGE_SIZE);
	assert_string_equal(said, "  stack +0x48: image+0x1234\n  stack +0x58: image+0\n");
	free(page);
}

/*
 * It reads nothing beyond the page, which the sanitizer would report, and the number of lines is
 * limited.
 */
static void at_most_a_page(void **state)
{
	u64 *page = aligned_alloc(PAGE_SIZE, PAGE_SIZE);
	u32 lines = 0;

	(void)state;
	for (u32 i = 0; i < PAGE_SIZE / sizeof(*page); i++)
		page[i] = IMAGE + i;
	emergency_stack(page, IMAGE, IMAGE_SIZE);
	for (size_t i = 0; i < length; i++)
		lines += said[i] == '\n';
	assert_int_equal(lines, 12);
	free(page);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {T(a_line), T(words_of_the_image), T(at_most_a_page)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
