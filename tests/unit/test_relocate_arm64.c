/* SPDX-License-Identifier: GPL-2.0-only */
/* What the agent writes into payloads of arm64 when a module comes. */
#include <elf.h>
#include <string.h>

#include "lib/errno.h"
#include "lib/types.h"

#include "../../guest-agent/arch/arm64/relocate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define PLACE 0xffff800000102004ul
#define MIB   (1ul << 20)
#define GIB   (1ul << 30)

/* The encodings are those that binutils' assembler and linker give. */
static const struct {
	u32 type, before, after;
	unsigned long value;
} insns[] = {
	{R_AARCH64_CALL26, 0x94000000, 0x94000001, PLACE + 4},		     /* bl */
	{R_AARCH64_CALL26, 0x94000000, 0x97ffffff, PLACE - 4},		     /* bl */
	{R_AARCH64_JUMP26, 0x14000000, 0x15ffffff, PLACE + 128 * MIB - 4},   /* b */
	{R_AARCH64_JUMP26, 0x17ffffff, 0x16000000, PLACE - 128 * MIB},	     /* b */
	{R_AARCH64_ADR_PREL_LO21, 0x10000003, 0x70000003, PLACE + 3},	     /* adr x3 */
	{R_AARCH64_ADR_PREL_LO21, 0x10000003, 0x10800003, PLACE - MIB},	     /* adr x3 */
	{R_AARCH64_ADR_PREL_PG_HI21, 0x90000001, 0x90000001, PLACE - 4},     /* adrp x1 */
	{R_AARCH64_ADR_PREL_PG_HI21, 0x90000001, 0xb0000001, PLACE + 0xffc}, /* adrp x1 */
	{R_AARCH64_ADR_PREL_PG_HI21, 0xf0ffffe1, 0xf0ffffe1, PLACE - 8},     /* adrp x1 */
	{R_AARCH64_ADR_PREL_PG_HI21, 0x90000001, 0x90800001, PLACE - 4 * GIB},
	{R_AARCH64_ADD_ABS_LO12_NC, 0x91000021, 0x913ffc21, 0x1fff},	/* add x1, x1 */
	{R_AARCH64_LDST8_ABS_LO12_NC, 0x39400020, 0x397ffc20, 0x1fff},	/* ldrb w0, [x1] */
	{R_AARCH64_LDST16_ABS_LO12_NC, 0x79400020, 0x795ffc20, 0x1ffe}, /* ldrh */
	{R_AARCH64_LDST32_ABS_LO12_NC, 0xb9400020, 0xb94ffc20, 0x1ffc}, /* ldr w0 */
	{R_AARCH64_LDST64_ABS_LO12_NC, 0xf9400020, 0xf947fc20, 0x1ff8}, /* ldr x0 */
	{R_AARCH64_LDST128_ABS_LO12_NC, 0x3dc00020, 0x3dc3fc20, 0x1ff0} /* ldr q0 */
};

static int relocate(u32 type, unsigned long value, u32 *insn)
{
	u8 bytes[8];
	int len;

	memset(bytes, 0xee, sizeof(bytes));
	memcpy(bytes, insn, sizeof(*insn));
	len = arch_relocate(type, PLACE, value, bytes);
	memcpy(insn, bytes, sizeof(*insn));
	return len;
}

static void test_insns(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(insns); i++) {
		u32 insn = insns[i].before;

		assert_int_equal(relocate(insns[i].type, insns[i].value, &insn), 4);
		assert_int_equal(insn, insns[i].after);
		/* what an earlier one has put there does not matter */
		insn = insns[i].after;
		assert_int_equal(relocate(insns[i].type, insns[i].value, &insn), 4);
		assert_int_equal(insn, insns[i].after);
	}
}

static void test_reach(void **state)
{
	static const struct {
		u32 type;
		unsigned long value;
	} far[] = {
		{R_AARCH64_CALL26, PLACE + 128 * MIB},
		{R_AARCH64_CALL26, PLACE - 128 * MIB - 4},
		{R_AARCH64_CALL26, PLACE + 2},
		{R_AARCH64_ADR_PREL_LO21, PLACE + MIB},
		{R_AARCH64_ADR_PREL_PG_HI21, PLACE + 4 * GIB},
		{R_AARCH64_ADR_PREL_PG_HI21, PLACE - 4 * GIB - 8},
		{R_AARCH64_LDST64_ABS_LO12_NC, 0x1ff4},
		{R_AARCH64_PREL32, PLACE + 2 * GIB},
		{R_AARCH64_PREL32, PLACE - 2 * GIB - 1},
	};
	u32 insn = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(far); i++)
		assert_int_equal(relocate(far[i].type, far[i].value, &insn), -ERANGE);
	assert_int_equal(relocate(R_AARCH64_TSTBR14, PLACE, &insn), -ENOEXEC);
	assert_int_equal(relocate(2 /* R_X86_64_PC32 */, PLACE, &insn), -ENOEXEC);
}

static void test_data(void **state)
{
	u8 bytes[8];
	u64 word;

	(void)state;
	assert_int_equal(arch_relocate(R_AARCH64_ABS64, PLACE, PLACE + 9, bytes), 8);
	memcpy(&word, bytes, 8);
	assert_true(word == PLACE + 9);
	assert_int_equal(arch_relocate(R_AARCH64_PREL64, PLACE, PLACE - 2, bytes), 8);
	memcpy(&word, bytes, 8);
	assert_true(word == ~1ul);
	memset(bytes, 0xee, sizeof(bytes));
	assert_int_equal(arch_relocate(R_AARCH64_PREL32, PLACE, PLACE - 2 * GIB, bytes), 4);
	memcpy(&word, bytes, 8);
	assert_true(word == 0xeeeeeeee80000000ul);
}

/* Where the veneer leads. */
static unsigned long follow(unsigned long place, const u8 *bytes)
{
	u32 code[4];
	long pages;

	memcpy(code, bytes, sizeof(code));
	assert_int_equal(code[0] & 0x9f00001f, 0x90000010); /* adrp x16 */
	assert_int_equal(code[1] & 0xffc003ff, 0x91000210); /* add x16, x16 */
	assert_int_equal(code[2], 0xd61f0200);		    /* br x16 */
	assert_int_equal(code[3], 0xd503201f);		    /* nop */
	pages = (long)((u64)(code[0] >> 5 & 0x7ffff) << 45) >> 43;
	pages |= code[0] >> 29 & 3;
	return (place & ~0xffful) + (unsigned long)(pages * 4096) + (code[1] >> 10 & 0xfff);
}

static void test_veneer(void **state)
{
	static const unsigned long to[] = {
		PLACE,		 PLACE + 128 * MIB,  PLACE - 128 * MIB,
		PLACE - 4 * GIB, 0xffff800008000ffc, PLACE + 4 * GIB - 0x3000};
	u8 bytes[ARCH_VENEER_SIZE];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(to); i++) {
		assert_int_equal(arch_make_veneer(PLACE, to[i], bytes), 0);
		assert_true(follow(PLACE, bytes) == to[i]);
	}
	assert_int_equal(arch_make_veneer(PLACE, PLACE + 4 * GIB, bytes), -ERANGE);
	assert_true(arch_takes_veneer(R_AARCH64_CALL26) && arch_takes_veneer(R_AARCH64_JUMP26));
	assert_false(arch_takes_veneer(R_AARCH64_ADR_PREL_PG_HI21));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_insns),
		cmocka_unit_test(test_reach),
		cmocka_unit_test(test_data),
		cmocka_unit_test(test_veneer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
