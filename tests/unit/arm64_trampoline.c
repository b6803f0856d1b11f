/* SPDX-License-Identifier: BSD-2-Clause */
/* Where Linux's code for KPTI lies, and where VBAR_EL1 is meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "../../arch/arm64/trampoline.h"
#include "lib/types.h"

#define TEXT	  0xffff800008010000ull /* of the kernel: _stext */
#define VECTORS	  (TEXT + 0x800)	/* the kernel's own, */
#define HARDENED  (TEXT + 0x2800)	/* and those that it has without KPTI: three of them */
#define ENTRY_END (TEXT + 0x4340)
#define ALIAS	  0xfffffbfffdbfc000ull /* TRAMP_VALIAS, in user programs' tables too */

/* Read in the images of Debian's kernels: one table of vectors behind the other, and then code. */
static const struct layout {
	const char *kernel;
	u64 tables[4], end;
} layouts[] = {
	{"6.1.0-56-cloud-arm64", {0, 0x800, 0x1000, 0x1800}, 0x20e0},
	{"6.12.95+deb12-cloud-arm64", {0, 0x800, 0x1000, 0x1800}, 0x2098},
	{"7.2.13+deb14-cloud-arm64", {0, 0x800, 0x1000, 0x1800}, 0x2098},
};

/* A CPU uses one of the tables, and each has a way in of its own; the way out is one. */
static void all_of_the_trampoline(void **state)
{
	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(layouts); i++)
		for (u32 t = 0; t < ARRAY_SIZE(layouts[i].tables); t++)
			for (u64 at = 0; at < layouts[i].end; at += 4)
				assert_true(is_trampoline(ALIAS + layouts[i].tables[t], VECTORS,
							  ALIAS + at));
}

/* The kernel sets VBAR_EL1 before it jumps to the way out (6.12, 7.2), on its own tables. */
static void the_kernel_is_none(void **state)
{
	(void)state;
	for (u64 at = TEXT; at < ENTRY_END; at += 4) {
		assert_false(is_trampoline(ALIAS + 0x1800, VECTORS, at));
		assert_false(is_trampoline(VECTORS, VECTORS, at));
		assert_false(is_trampoline(HARDENED, HARDENED, at));
	}
}

/* What other code does there is done by a kernel that has put its own vectors elsewhere. */
static void nor_are_neighbours(void **state)
{
	(void)state;
	assert_false(is_trampoline(ALIAS, VECTORS, ALIAS - TRAMPOLINE_MAX - 4));
	assert_false(is_trampoline(ALIAS, VECTORS, ALIAS + TRAMPOLINE_MAX));
	assert_false(is_trampoline(0, VECTORS, ~0ull << 47));
	assert_false(is_trampoline(ALIAS, VECTORS, 0x400000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_of_the_trampoline),
		cmocka_unit_test(the_kernel_is_none),
		cmocka_unit_test(nor_are_neighbours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
