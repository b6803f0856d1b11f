/* SPDX-License-Identifier: BSD-2-Clause */
/* What the kernel may make of a module's code on arm64, and what it may not. */
#include "text_sites.h"

#define NOP	   0xd503201fu
#define MOV_X9	   0xaa1e03e9u
#define WORDS(...) ((const u8 *)(const u32[]){__VA_ARGS__})

/* B (or BL) from `at`. */
static u32 branch(u32 opcode, u64 at, u64 to)
{
	return opcode | (u32)((to - at) / 4 & 0x3ffffff);
}

static void relocations(void **state)
{
	struct text_field f;

	(void)state;
	/* ADRP X0, +3 pages */
	assert_int_equal(arch_text_field(275, SITE + 8, WORDS(0xf0000000, 0), &f), 0);
	assert_int_equal(f.value, SITE + 3 * 4096);
	assert_int_equal(f.known, ~0xfffull);
	/* for an erratum: ADR X0 of a page */
	assert_int_equal(arch_text_field(275, SITE + 8, WORDS(0x10007fc0, 0), &f), 0);
	assert_int_equal(f.value, SITE + 4096);
	assert_true(f.bits >> 31);
	/* LDR X0, [X0, #0x128] */
	assert_int_equal(arch_text_field(286, SITE, WORDS(0xf9409400, 0), &f), 0);
	assert_int_equal(f.value, 0x128);
	assert_int_equal(f.known, 0xfff);
	/* BL -8 */
	assert_int_equal(arch_text_field(283, SITE, WORDS(0x97fffffe, 0), &f), 0);
	assert_int_equal(f.value, SITE - 8);
	assert_true(f.branch && f.is_code);
	assert_int_equal(arch_text_field(261, SITE, WORDS(0xfffffffc, 7), &f), 0);
	assert_int_equal(f.value, SITE - 4);
	assert_int_equal(arch_text_field(257, SITE, WORDS(1, 2), &f), 0);
	assert_int_equal(f.value, 0x200000001ull);
	assert_int_not_equal(arch_text_field(263, SITE, WORDS(0, 0), &f), 0);
}

static void veneers(void **state)
{
	/* ADRP X16, +1 page; ADD X16, X16, #0x20; BR X16 */
	const u8 *veneer = WORDS(0xb0000010, 0x91008210, 0xd61f0200);

	(void)state;
	assert_int_equal(arch_text_veneer(veneer, SITE), SITE + 4096 + 0x20);
	assert_int_equal(arch_text_veneer(WORDS(0xb0000011, 0x91008210, 0xd61f0200), SITE), 0);
	assert_int_equal(arch_text_veneer(WORDS(0xb0000010, 0x91008210, 0xd61f0220), SITE), 0);
	assert_int_equal(arch_text_filler(veneer, 12, SITE), 12);
	assert_int_equal(arch_text_filler(WORDS(0, 1, 2), 12, SITE), 4);
	assert_int_equal(arch_text_filler(WORDS(0xd65f03c0, 0, 0), 12, SITE), 0);
}

static void alternatives(void **state)
{
	u8 entry[12] = {[10] = 8, [11] = 8};
	const u8 *file = WORDS(0x11111111, 0x22222222);

	(void)state;
	/* MSR, and a branch out of the replacement */
	replacement = WORDS(0xd50342df, branch(0x14000000, REPLACEMENT + 4, KERNEL));
	replacement_len = 8;
	assert_true(fits(".altinstructions", entry, 12, file, file, 8));
	assert_true(fits(".altinstructions", entry, 12, file,
			 WORDS(0xd50342df, branch(0x14000000, SITE + 4, KERNEL)), 8));
	assert_false(fits(".altinstructions", entry, 12, file, replacement, 8));
	assert_false(fits(".altinstructions", entry, 12, file,
			  WORDS(0xd50342df, branch(0x14000000, SITE + 4, KERNEL + 4)), 8));
	assert_false(fits(".altinstructions", entry, 12, file, WORDS(NOP, NOP), 8));
	/* a callback makes NOPs */
	entry[11] = 0;
	assert_true(fits(".altinstructions", entry, 12, file, WORDS(NOP, NOP), 8));
	assert_false(fits(".altinstructions", entry, 12, file, WORDS(NOP, 0xd65f03c0), 8));
}

static void keys_and_tracers(void **state)
{
	static const u8 entry[16];
	const char *tracer = "__patchable_function_entries";
	const u8 *nops = WORDS(NOP, NOP), *ops = WORDS(NOP, NOP, 0xd503245f, NOP, NOP);
	u32 bl = branch(0x94000000, SITE + 4, KERNEL);

	(void)state;
	assert_true(fits("__jump_table", entry, 16, nops, nops, 4));
	assert_true(fits("__jump_table", entry, 16, nops,
			 WORDS(branch(0x14000000, SITE, REPLACEMENT)), 4));
	assert_false(fits("__jump_table", entry, 16, nops,
			  WORDS(branch(0x14000000, SITE, REPLACEMENT + 4)), 4));
	assert_true(fits(tracer, entry, 8, nops, nops, 8));
	assert_true(fits(tracer, entry, 8, nops, WORDS(MOV_X9, NOP), 8));
	assert_true(fits(tracer, entry, 8, nops, WORDS(MOV_X9, bl), 8));
	assert_false(fits(tracer, entry, 8, nops, WORDS(NOP, bl), 8));
	assert_false(
		fits(tracer, entry, 8, nops, WORDS(MOV_X9, branch(0x94000000, SITE + 4, SITE)), 8));
	/* from 6.4 on a pointer is in front */
	bl = branch(0x94000000, SITE + 16, KERNEL);
	assert_true(fits(tracer, entry, 8, ops,
			 WORDS(0x12345678, 0xffff8000, 0xd503245f, MOV_X9, bl), 20));
	assert_false(fits(tracer, entry, 8, ops,
			  WORDS(0x12345678, 0x00000000, 0xd503245f, MOV_X9, bl), 20));
	assert_false(
		fits(tracer, entry, 8, ops, WORDS(0x12345678, 0xffff8000, NOP, MOV_X9, bl), 20));
}

static void causes(void **state)
{
	/* BRK of kprobes, and of BUG() */
	const u8 *code = WORDS(NOP, 0xd4200080, 0xd4210000);

	(void)state;
	assert_false(arch_text_is_probe(code, 0, 12));
	assert_true(arch_text_is_probe(code, 4, 12));
	assert_true(arch_text_is_probe(code, 7, 12));
	assert_false(arch_text_is_probe(code, 7, 7));
	assert_false(arch_text_is_probe(code, 8, 12));
	assert_false(arch_text_counts_calls(code));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(relocations),	cmocka_unit_test(veneers),
		cmocka_unit_test(alternatives), cmocka_unit_test(keys_and_tracers),
		cmocka_unit_test(causes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
