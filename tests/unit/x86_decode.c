/* SPDX-License-Identifier: BSD-2-Clause */
/* The decoder that emulated writes use: the length of any instruction, the value of a plain MOV. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include "core/cpu.h"
#include "guest/ram.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "../../arch/x86/hv.h"

#define CODE 0x1000

static struct arch_cpu arch;
static struct cpu cpu = {.arch = &arch};
static const u8 *code; /* at CODE, INSN_MAX bytes */

#define INSN_MAX 15

int guest_read_ipa(ipa_t ipa, void *buf, size_t len)
{
	assert_true(ipa.v >= CODE && ipa.v + len <= CODE + INSN_MAX);
	memcpy(buf, code + (ipa.v - CODE), len);
	return 0;
}

enum { LONG, WIDE, SHORT }; /* 64-, 32- and 16-bit code */

static int decode(int mode, const u8 *bytes, struct guest_insn *insn)
{
	code = bytes;
	arch.vcpu.rip = CODE;
	arch.vcpu.long_code = mode == LONG;
	arch.vcpu.wide_code = mode == WIDE;
	for (u64 i = 0; i < NR_GPRS; i++)
		arch.vcpu.gpr[i] = 0xabcd0000u + i;
	return vcpu_decode(&cpu, insn);
}

/* ---- stores ---- */

static void a_plain_store_has_a_size_and_a_value(void **state)
{
	static const struct {
		int mode;
		u8 bytes[INSN_MAX];
		u32 len, size;
		u64 value;
	} cases[] = {
		/* Linux's writes to its local APIC, with RIP-relative and absolute addresses */
		{LONG, {0x89, 0x35, 1, 2, 3, 4}, 6, 4, 0xabcd0006},
		{LONG, {0x89, 0x04, 0x25, 1, 2, 3, 4}, 7, 4, 0xabcd0000},
		{LONG, {0x89, 0x14, 0x08}, 3, 4, 0xabcd0002},
		{LONG, {0x44, 0x89, 0x7f, 0x10}, 4, 4, 0xabcd000f},
		{LONG, {0x41, 0x89, 0x78, 0x10}, 4, 4, 0xabcd0007},
		{LONG, {0xc7, 0x87, 0xb0, 0, 0, 0, 0x78, 0x56, 0x34, 0x12}, 10, 4, 0x12345678},
		{LONG, {0xa3, 1, 2, 3, 4, 5, 6, 7, 8}, 9, 4, 0xabcd0000},
		{WIDE, {0x89, 0x0d, 1, 2, 3, 4}, 6, 4, 0xabcd0001},
		{WIDE, {0xa3, 1, 2, 3, 4}, 5, 4, 0xabcd0000},
		{SHORT, {0x66, 0x89, 0x07}, 3, 4, 0xabcd0000},
		{SHORT, {0x66, 0x67, 0xc7, 0x05, 1, 2, 3, 4, 9, 0, 0, 0}, 12, 4, 9},
		/* other sizes */
		{LONG, {0x48, 0x89, 0x07}, 3, 8, 0xabcd0000},
		{LONG, {0x66, 0x89, 0x07}, 3, 2, 0xabcd0000},
		{SHORT, {0x89, 0x07}, 2, 2, 0xabcd0000},
		/* of one byte: of a register's first or second, of an immediate, of RAX */
		{LONG, {0x88, 0x0f}, 2, 1, 0x01},
		{LONG, {0x88, 0x2f}, 2, 1, 0x00},	/* %ch */
		{LONG, {0x40, 0x88, 0x2f}, 3, 1, 0x05}, /* %bpl */
		{LONG, {0x44, 0x88, 0x3f}, 3, 1, 0x0f}, /* %r15b */
		{LONG, {0xc6, 0x07, 0x81}, 3, 1, 0x81},
		{LONG, {0xa2, 1, 2, 3, 4, 5, 6, 7, 8}, 9, 1, 0x00},
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		struct guest_insn insn;

		assert_int_equal(decode(cases[i].mode, cases[i].bytes, &insn), 0);
		assert_int_equal(insn.len, cases[i].len);
		assert_true(insn.store);
		assert_int_equal(insn.size, cases[i].size);
		if (insn.size == 1)
			insn.value &= 0xff;
		assert_int_equal(insn.value, cases[i].value);
	}
}

/* ---- lengths ---- */

static void others_have_a_length(void **state)
{
	static const struct {
		int mode;
		u8 bytes[INSN_MAX];
		u32 len;
	} cases[] = {
		{LONG, {0x8b, 0x07}, 2},			 /* a load */
		{LONG, {0x89, 0xc3}, 2},			 /* register to register */
		{LONG, {0x8c, 0x1f}, 2},			 /* a segment register */
		{LONG, {0x0f, 0xc3, 0x07}, 3},			 /* movnti */
		{LONG, {0x0f, 0xc7, 0x0f}, 3},			 /* cmpxchg8b */
		{LONG, {0xf0, 0x0f, 0xb1, 0x17}, 4},		 /* lock cmpxchg */
		{LONG, {0xf3, 0x48, 0xab}, 3},			 /* rep stos */
		{LONG, {0xc5, 0xfd, 0x7f, 0x07}, 4},		 /* vmovdqa: VEX, two bytes */
		{LONG, {0xc4, 0xe3, 0x71, 0x22, 0x07, 1}, 6},	 /* vpinsrd: three, immediate */
		{LONG, {0x62, 0xf1, 0x7d, 0x48, 0x7f, 0x07}, 6}, /* vmovdqa32: EVEX */
		{LONG, {0x62, 0xf3, 0xf5, 0x48, 0x25, 0xc2, 0xff}, 7}, /* vpternlogq */
		{LONG, {0x62, 0xf1, 0x7d, 0x48, 0x7f, 0x87, 0x78, 0x56, 0x34, 0x12}, 10},
		{WIDE, {0x62, 0x07}, 2}, /* bound */
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		struct guest_insn insn;

		assert_int_equal(decode(cases[i].mode, cases[i].bytes, &insn), 0);
		assert_int_equal(insn.len, cases[i].len);
		assert_false(insn.store);
	}
}

static void what_no_processor_executes_is_refused(void **state)
{
	static const u8 cases[][INSN_MAX] = {
		{0x0f, 0x04},			      /* no such opcode */
		{0xf0, 0x89, 0x07},		      /* LOCK with MOV */
		{0xc5, 0xfd, 0xff, 0xff},	      /* no such VEX opcode */
		{0x62, 0xf1, 0x79, 0x48, 0x7f, 0x07}, /* Knights Corner's MVEX */
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
		struct guest_insn insn;

		assert_int_equal(decode(LONG, cases[i], &insn), -EINVAL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_plain_store_has_a_size_and_a_value),
		cmocka_unit_test(others_have_a_length),
		cmocka_unit_test(what_no_processor_executes_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
