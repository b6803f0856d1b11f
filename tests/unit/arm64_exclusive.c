/* SPDX-License-Identifier: BSD-2-Clause */
/* Store-exclusives of arm64 that are carried out by software. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "../../arch/arm64/exclusive.h"

#define STXR_X	0xc8027c83u /* stxr w2, x3, [x4] */
#define STXR_W	0x88027c83u
#define STXRB	0x08027c83u
#define STXRH	0x48027c83u
#define STXP_X	0xc8221483u /* stxp w2, x3, x5, [x4] */
#define STLXP_W 0x88229483u
#define STXR_ZR 0xc8027c9fu /* stxr w2, xzr, [x4] */
#define STXR_NO 0xc81f7c83u /* stxr wzr, x3, [x4] */

static void which_they_are(void **state)
{
	static const u32 are[] = {STXR_X,  STXR_W,  STXRB,   STXRH,	 STXP_X,
				  STLXP_W, STXR_ZR, STXR_NO, 0xc802fc83, 0x0802ffe3};
	static const u32 are_not[] = {
		0xc85f7c83, /* ldxr */
		0xc87f9483, /* ldaxp */
		0xc89ffc83, /* stlr */
		0xc89f7c62, /* stllr */
		0x48227cc4, /* casp */
		0x0862fcc4, /* caspal */
		0xc8a27c83, /* cas */
		0x08a27c83, /* casb */
		0xf8220083, /* ldadd */
		0xa9000c82, /* stp */
		0xf9000062, /* str */
	};

	(void)state;
	for (u32 i = 0; i < sizeof(are) / sizeof(are[0]); i++)
		assert_true(insn_is_store_exclusive(are[i]));
	for (u32 i = 0; i < sizeof(are_not) / sizeof(are_not[0]); i++)
		assert_false(insn_is_store_exclusive(are_not[i]));
	for (u32 i = 0; i < sizeof(are_not) / sizeof(are_not[0]); i++)
		assert_int_equal(insn_is_load_exclusive(are_not[i]), i < 2);
}

/* The first attempt, which must not write, and the second. */
static void carry_out(u32 insn, u64 *x, u8 *to)
{
	struct exclusive last = {0}, now = {.pc = 1, .sp = 2, .address = 3};
	bool has_status = insn != STXR_NO;

	x[2] = 77;
	assert_false(exclusive_store(&last, &now, insn, x, to));
	assert_int_equal(x[2], has_status ? 1 : 77);
	assert_memory_equal(to, "----------------", 16);
	assert_true(exclusive_store(&last, &now, insn, x, to));
	assert_int_equal(x[2], has_status ? 0 : 77);
}

static void what_they_write(void **state)
{
	static const struct {
		u32 insn;
		u8 bytes[17];
	} cases[] = {
		{STXRB, "\x08---------------"},
		{STXRH, "\x08\x07--------------"},
		{STXR_W, "\x08\x07\x06\x05------------"},
		{STXR_X, "\x08\x07\x06\x05\x04\x03\x02\x01--------"},
		{STLXP_W, "\x08\x07\x06\x05\x18\x17\x16\x15--------"},
		{STXP_X, "\x08\x07\x06\x05\x04\x03\x02\x01\x18\x17\x16\x15\x14\x13\x12\x11"},
		{STXR_ZR, "\0\0\0\0\0\0\0\0--------"},
		{STXR_NO, "\x08\x07\x06\x05\x04\x03\x02\x01--------"},
	};

	(void)state;
	for (u32 i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		u64 x[31] = {[3] = 0x0102030405060708, [5] = 0x1112131415161718};
		u8 to[17] = "----------------";

		carry_out(cases[i].insn, x, to);
		assert_memory_equal(to, cases[i].bytes, 16);
	}
}

/* ---- two CPUs, and who comes in between ---- */

static u64 memory, writes;
static const struct exclusive place = {.pc = 0x1000, .sp = 0x2000, .ttbr0 = 3, .address = 0x4000};

static bool attempt(struct exclusive *last, struct exclusive now, u64 value)
{
	u64 x[31] = {[3] = value};
	bool written;

	now.writes = writes;
	written = exclusive_store(last, &now, STXR_X, x, &memory);
	writes += written;
	assert_int_equal(x[2], !written);
	return written;
}

static void nothing_is_lost_between_cpus(void **state)
{
	struct exclusive last[2] = {0};
	u64 loaded[2], done = 0, seed = 1;

	(void)state;
	memory = writes = 0;
	loaded[0] = loaded[1] = memory;
	for (u32 n = 0; n < 10000; n++) {
		u32 cpu = (seed = seed * 6364136223846793005ull + 1442695040888963407ull) >> 63;

		done += attempt(&last[cpu], place, loaded[cpu] + 1);
		loaded[cpu] = memory;
	}
	assert_int_equal(memory, done);
	assert_true(done > 2000);
}

/* An attempt counts as the same only if whoever makes it has loaded since. */
static void another_one_begins_anew(void **state)
{
	struct exclusive last = {0}, other;
	u64 *const differs[] = {&other.pc, &other.sp, &other.ttbr0, &other.address};

	(void)state;
	writes = 0;
	for (u32 i = 0; i < sizeof(differs) / sizeof(differs[0]); i++) {
		other = place;
		++*differs[i];
		assert_false(attempt(&last, place, 1));
		assert_false(attempt(&last, other, 1));
		assert_false(attempt(&last, place, 1));
		assert_true(attempt(&last, place, 1));
	}
	assert_false(attempt(&last, place, 1));
	writes++; /* a plain store of somebody's */
	assert_false(attempt(&last, place, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(which_they_are),
		cmocka_unit_test(what_they_write),
		cmocka_unit_test(nothing_is_lost_between_cpus),
		cmocka_unit_test(another_one_begins_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
