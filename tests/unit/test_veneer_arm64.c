/* SPDX-License-Identifier: GPL-2.0-only */
/* Veneers of Cortex-A53's erratum 843419, as the linker and Linux's loader of modules make them. */
#include "lib/types.h"

#include "../../guest-agent/arch/arm64/branch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

enum { FUNC = 0x10, FUNC_END = 0x30, LINKED = 0x80, LOADED = 0x90, TEXT = 0xa0 };

#define NOP  0xd503201fu
#define ADRP 0x90000000u
#define ADD  0x91000000u
#define LDR  0xf9465800u /* ldr x0, [x0, #0xcb0], of the veneer of 6.12's cpuset_post_attach() */

static u32 text[TEXT / 4];

static unsigned long at_text(u32 offset)
{
	return (unsigned long)text + offset;
}

static void put(u32 at, u32 insn)
{
	text[at / 4] = insn;
}

static void put_branch(u32 from, u32 to)
{
	put(from, 0x14000000 | (((s32)(to - from) >> 2) & 0x3ffffff));
}

static int setup(void **state)
{
	(void)state;
	for (u32 i = 0; i < TEXT; i += 4)
		put(i, NOP);
	put(LINKED, LDR);
	put_branch(LINKED + 4, 0x1c);
	put(LOADED, ADRP);
	put(LOADED + 4, ADD);
	put_branch(LOADED + 8, 0x2c);
	return 0;
}

static u32 find(unsigned long *at, u32 text_end, unsigned long *size)
{
	unsigned long veneer =
		arch_next_veneer(at, at_text(FUNC_END), at_text(0), at_text(text_end), size);

	return veneer ? (u32)(veneer - at_text(0)) : 0;
}

static void each_kind(void **state)
{
	unsigned long at = at_text(FUNC), size;

	(void)state;
	put_branch(0x18, LINKED);
	put_branch(0x28, LOADED);
	assert_int_equal(find(&at, TEXT, &size), LINKED);
	assert_int_equal(size, 8);
	assert_int_equal(at, at_text(0x1c));
	assert_int_equal(find(&at, TEXT, &size), LOADED);
	assert_int_equal(size, 12);
	assert_int_equal(find(&at, TEXT, &size), 0);
	assert_int_equal(at, at_text(FUNC_END));
}

/* Tail calls, branches to what branches elsewhere, and to where no text is. */
static void what_is_none(void **state)
{
	unsigned long at = at_text(FUNC), size;

	(void)state;
	put_branch(0x10, 0x60);
	put_branch(0x14, LINKED); /* it leads back to another place */
	put_branch(0x20, FUNC_END + 0x10000);
	put_branch(0x28, LOADED);
	assert_int_equal(find(&at, LOADED + 8, &size), 0); /* text ends in it */
	at = at_text(FUNC);
	assert_int_equal(find(&at, LOADED + 12, &size), LOADED);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, setup)
	const struct CMUnitTest tests[] = {TEST(each_kind), TEST(what_is_none)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
