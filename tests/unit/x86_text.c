/* SPDX-License-Identifier: BSD-2-Clause */
/* What the kernel may make of a module's code on x86-64, and what it may not. */
#include "text_sites.h"

#define BYTES(...) ((const u8[]){__VA_ARGS__})

/* A CALL or JMP from SITE to the address. */
static const u8 *branch(u8 opcode, u64 to)
{
	static u8 code[32][5];
	static u32 n;
	u8 *at = code[n++ % 32];
	s32 distance = (s32)(to - (SITE + 5));

	at[0] = opcode;
	memcpy(at + 1, &distance, sizeof(distance));
	return at;
}

static bool plain(const char *section, const u8 *file, const u8 *memory, u32 size)
{
	static const u8 entry[16];

	return fits(section, entry, 4, file, memory, size);
}

static void relocations(void **state)
{
	u8 code[8] = {0xfc, 0xff, 0xff, 0xff, 1, 2, 3, 4};
	struct text_field f;

	(void)state;
	assert_int_equal(arch_text_field(2, SITE, code, &f), 0);
	assert_int_equal(f.value, SITE - 4);
	assert_false(f.is_code);
	assert_int_equal(arch_text_field(4, SITE, code, &f), 0);
	assert_true(f.is_code);
	assert_int_equal(arch_text_field(11, SITE, code, &f), 0);
	assert_int_equal(f.value, 0xfffffffffffffffcull);
	assert_int_equal(arch_text_field(10, SITE, code, &f), 0);
	assert_int_equal(f.value, 0xfffffffc);
	assert_int_equal(arch_text_field(1, SITE, code, &f), 0);
	assert_int_equal(f.value, 0x04030201fffffffcull);
	assert_int_equal(f.size, 8);
	assert_int_not_equal(arch_text_field(9, SITE, code, &f), 0);
}

static void retpolines(void **state)
{
	const u8 *call = branch(0xe8, KERNEL), *jump = branch(0xe9, KERNEL);
	const u8 conditional[] = {0x0f, 0x84, 0, 0, 0, 0};

	(void)state;
	symbol_name = "__x86_indirect_thunk_rax";
	assert_true(plain(".retpoline_sites", call, call, 5));
	assert_true(plain(".retpoline_sites", call, BYTES(0xff, 0xd0, 0x0f, 0x1f, 0x00), 5));
	assert_true(plain(".retpoline_sites", call, BYTES(0x0f, 0xae, 0xe8, 0xff, 0xd0), 5));
	assert_true(plain(".retpoline_sites", jump, BYTES(0xff, 0xe0, 0xcc, 0x66, 0x90), 5));
	assert_true(plain(".retpoline_sites", conditional,
			  BYTES(0x75, 0x04, 0xff, 0xe0, 0xcc, 0xcc), 6));
	/* another register, a jump instead of a call, another condition, something behind it */
	assert_false(plain(".retpoline_sites", call, BYTES(0xff, 0xd1, 0x0f, 0x1f, 0x00), 5));
	assert_false(plain(".retpoline_sites", call, BYTES(0xff, 0xe0, 0x0f, 0x1f, 0x00), 5));
	assert_false(plain(".retpoline_sites", call, BYTES(0xff, 0xd0, 0x31, 0xc0, 0x90), 5));
	assert_false(plain(".retpoline_sites", conditional,
			   BYTES(0x74, 0x04, 0xff, 0xe0, 0xcc, 0xcc), 6));
	/* a thunk made for this site */
	memcpy(thunk, BYTES(0xff, 0xe0, 0xcc), 3);
	assert_true(plain(".retpoline_sites", call, branch(0xe8, KERNEL + 0x40), 5));
	memcpy(thunk, BYTES(0xff, 0xe3, 0xcc), 3);
	assert_false(plain(".retpoline_sites", call, branch(0xe8, KERNEL + 0x40), 5));
	symbol_name = "__x86_indirect_thunk_r9";
	assert_true(plain(".retpoline_sites", call, BYTES(0x41, 0xff, 0xd1, 0x66, 0x90), 5));
	assert_false(plain(".retpoline_sites", call, BYTES(0xff, 0xd1, 0x0f, 0x1f, 0x00), 5));
}

static void returns(void **state)
{
	const u8 *jump = branch(0xe9, KERNEL);

	(void)state;
	first = 0;
	assert_true(plain(".return_sites", jump, BYTES(0xc3, 0xcc, 0xcc, 0xcc, 0xcc), 5));
	assert_false(plain(".return_sites", jump, BYTES(0xc3, 0xcc, 0xc3, 0xcc, 0xcc), 5));
	assert_true(plain(".return_sites", jump, branch(0xe9, KERNEL + 0x80), 5));
	/* all to one thunk, and that in the kernel */
	assert_false(plain(".return_sites", jump, branch(0xe9, KERNEL + 0x90), 5));
	first = 0;
	assert_false(plain(".return_sites", jump, branch(0xe9, SITE + 0x90), 5));
}

static void alternatives(void **state)
{
	u8 entry[12] = {[10] = 3, [11] = 3};

	(void)state;
	replacement = BYTES(0x0f, 0x01, 0xcb); /* STAC */
	replacement_len = 3;
	assert_true(fits(".altinstructions", entry, 12, BYTES(0x90, 0x90, 0x90),
			 BYTES(0x0f, 0x1f, 0x00), 3));
	assert_true(fits(".altinstructions", entry, 12, BYTES(0x90, 0x90, 0x90), replacement, 3));
	assert_false(fits(".altinstructions", entry, 12, BYTES(0x90, 0x90, 0x90),
			  BYTES(0x0f, 0x01, 0xca), 3));
	/* a shorter one, with NOPs of any kind; a jump that was made shorter */
	entry[10] = 8;
	entry[11] = 5;
	replacement = BYTES(0xe9, 0, 0, 0, 0);
	replacement_len = 5;
	referred = SITE + 2 + 0x10 - 4;
	assert_true(fits(".altinstructions", entry, 12,
			 BYTES(0x31, 0xc0, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90),
			 BYTES(0xeb, 0x10, 0x66, 0x0f, 0x1f, 0x44, 0, 0), 8));
	assert_false(fits(".altinstructions", entry, 12,
			  BYTES(0x31, 0xc0, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90),
			  BYTES(0xeb, 0x11, 0x66, 0x0f, 0x1f, 0x44, 0, 0), 8));
	assert_true(fits(".altinstructions", entry, 12,
			 BYTES(0x31, 0xc0, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90),
			 BYTES(0x31, 0xc0, 0xeb, 0x04, 0xcc, 0xcc, 0xcc, 0xcc), 8));
	assert_true(fits(".altinstructions", entry, 12, BYTES(0xe9, 0, 0, 0, 0, 0x90, 0x90, 0x90),
			 BYTES(0xeb, 0x10, 0xcc, 0xcc, 0xcc, 0x90, 0x90, 0x90), 8));
	assert_false(fits(".altinstructions", entry, 12, BYTES(0xe9, 0, 0, 0, 0, 0x90, 0x90, 0x90),
			  BYTES(0xeb, 0x10, 0xcc, 0xc3, 0xcc, 0x90, 0x90, 0x90), 8));
	/* an operand that is no NOP's */
	assert_false(fits(".altinstructions", entry, 12,
			  BYTES(0x31, 0xc0, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90),
			  BYTES(0x31, 0xc0, 0xeb, 0x04, 0xcc, 0xcc, 0xc3, 0xcc), 8));
}

static void keys_and_calls(void **state)
{
	const u8 nop[] = {0x0f, 0x1f, 0x44, 0, 0}, *call = branch(0xe8, KERNEL);

	(void)state;
	assert_true(plain("__jump_table", nop, nop, 5));
	assert_true(plain("__jump_table", nop, branch(0xe9, REPLACEMENT), 5));
	assert_false(plain("__jump_table", nop, branch(0xe9, REPLACEMENT + 1), 5));
	assert_true(plain(".static_call_sites", call, branch(0xe8, KERNEL + 0x100), 5));
	assert_true(plain(".static_call_sites", call, nop, 5));
	assert_true(plain(".static_call_sites", call, BYTES(0x2e, 0x2e, 0x2e, 0x31, 0xc0), 5));
	assert_true(plain(".static_call_sites", call, BYTES(0x67, 0x48, 0x0f, 0xb9, 0x3a), 5));
	assert_false(plain(".static_call_sites", call, BYTES(0x67, 0x48, 0x0f, 0xb9, 0x38), 5));
	assert_false(plain(".static_call_sites", call, branch(0xe8, SITE), 5));
	assert_false(plain(".static_call_sites", call, BYTES(0xc3, 0xcc, 0xcc, 0xcc, 0xcc), 5));
	assert_true(plain(".static_call.text",
			  BYTES(0xc3, 0xcc, 0x90, 0x90, 0x90, 0x0f, 0xb9, 0xcc),
			  BYTES(0xc3, 0xcc, 0xcc, 0xcc, 0xcc, 0x0f, 0xb9, 0xcc), 8));
	assert_false(plain(".static_call.text",
			   BYTES(0xc3, 0xcc, 0x90, 0x90, 0x90, 0x0f, 0xb9, 0xcc),
			   BYTES(0xe9, 0, 0, 0, 0, 0x0f, 0xb9, 0xcc), 8));
	/* 5.10's has nothing behind the jump */
	assert_true(
		plain(".static_call.text", branch(0xe9, KERNEL), branch(0xe9, KERNEL + 0x80), 5));
	assert_false(plain(".static_call.text", branch(0xe9, KERNEL), branch(0xe9, SITE), 5));
	assert_true(plain("__mcount_loc", call, nop, 5));
	assert_true(plain("__mcount_loc", call, branch(0xe8, KERNEL + 0x200), 5));
	assert_false(plain("__mcount_loc", call, branch(0xe8, SITE + 0x200), 5));
	assert_true(plain(".smp_locks", BYTES(0xf0), BYTES(0x3e), 1));
	assert_false(plain(".smp_locks", BYTES(0xf0), BYTES(0xf2), 1));
	assert_true(plain(".ibt_endbr_seal", BYTES(0xf3, 0x0f, 0x1e, 0xfa),
			  BYTES(0x0f, 0x1f, 0x40, 0xd6), 4));
	assert_false(plain(".ibt_endbr_seal", BYTES(0xf3, 0x0f, 0x1e, 0xfa),
			   BYTES(0x90, 0x90, 0x90, 0xc3), 4));
}

static void causes(void **state)
{
	const u8 *code = BYTES(0x55, 0xcc, 0xe9, 0x90);

	(void)state;
	assert_false(arch_text_is_probe(code, 0, 4));
	assert_true(arch_text_is_probe(code, 1, 4));
	assert_true(arch_text_is_probe(code, 2, 4));
	assert_false(arch_text_is_probe(code, 2, 2));
	/* SAR QWORD PTR GS:[0x1234], 5, which the call of a value 4 less leads to */
	assert_true(arch_text_counts_calls(
		BYTES(0x90, 0x90, 0x90, 0x90, 0x65, 0x48, 0xc1, 0x3c, 0x25, 0x34, 0x12)));
	assert_false(arch_text_counts_calls(BYTES(0x90, 0x90, 0x90, 0x90, 0x65, 0x48, 0x8b, 0x3c)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(relocations),	  cmocka_unit_test(retpolines),
		cmocka_unit_test(returns),	  cmocka_unit_test(alternatives),
		cmocka_unit_test(keys_and_calls), cmocka_unit_test(causes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
