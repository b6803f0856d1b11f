/* SPDX-License-Identifier: BSD-2-Clause */
/* Loads of arm64 that are carried out by software. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unicorn/unicorn.h>
#include <cmocka.h>
#include "../../arch/arm64/exception.h"
#include "../../arch/arm64/load.h"

#define AT    0xffff800008123000ull /* the page */
#define CODE  0x10000ull
#define ABORT ((u64)EC_DABT_LOWER << 26 | ESR_IL | (FSC_PERMISSION + 3))

#define SYNDROME(size_log, sign, wide, reg)                                                        \
	(ABORT | ISS_ISV | (u64)(size_log) << 22 | ((sign) ? ISS_SSE : 0) | (u64)(reg) << 16 |     \
	 ((wide) ? ISS_SF : 0))

static u8 page[PAGE_SIZE];

static int setup(void **state)
{
	(void)state;
	for (u32 i = 0; i < PAGE_SIZE; i++)
		page[i] = (u8)(i * 37 + 0x85);
	return 0;
}

static const int x_ids[] = {
	UC_ARM64_REG_X0,  UC_ARM64_REG_X1,  UC_ARM64_REG_X2,  UC_ARM64_REG_X3,	UC_ARM64_REG_X4,
	UC_ARM64_REG_X5,  UC_ARM64_REG_X6,  UC_ARM64_REG_X7,  UC_ARM64_REG_X8,	UC_ARM64_REG_X9,
	UC_ARM64_REG_X10, UC_ARM64_REG_X11, UC_ARM64_REG_X12, UC_ARM64_REG_X13, UC_ARM64_REG_X14,
	UC_ARM64_REG_X15, UC_ARM64_REG_X16, UC_ARM64_REG_X17, UC_ARM64_REG_X18, UC_ARM64_REG_X19,
	UC_ARM64_REG_X20, UC_ARM64_REG_X21, UC_ARM64_REG_X22, UC_ARM64_REG_X23, UC_ARM64_REG_X24,
	UC_ARM64_REG_X25, UC_ARM64_REG_X26, UC_ARM64_REG_X27, UC_ARM64_REG_X28, UC_ARM64_REG_X29,
	UC_ARM64_REG_X30,
};
#define NR_X (sizeof(x_ids) / sizeof(x_ids[0]))

static void fill(u64 *x, u64 base)
{
	for (u32 i = 0; i < NR_X; i++)
		x[i] = 0x1111111111111111ull * (i % 15 + 1);
	x[4] = base;
}

/* What a processor makes of it. */
static void execute(u32 insn, u64 *x)
{
	uc_engine *uc;

	assert_int_equal(uc_open(UC_ARCH_ARM64, UC_MODE_ARM, &uc), 0);
	assert_int_equal(uc_mem_map(uc, AT, PAGE_SIZE, UC_PROT_READ), 0);
	assert_int_equal(uc_mem_map(uc, CODE, PAGE_SIZE, UC_PROT_ALL), 0);
	assert_int_equal(uc_mem_write(uc, AT, page, PAGE_SIZE), 0);
	assert_int_equal(uc_mem_write(uc, CODE, &insn, sizeof(insn)), 0);
	for (u32 i = 0; i < NR_X; i++)
		assert_int_equal(uc_reg_write(uc, x_ids[i], &x[i]), 0);
	assert_int_equal(uc_emu_start(uc, CODE, CODE + sizeof(insn), 0, 1), 0);
	for (u32 i = 0; i < NR_X; i++)
		assert_int_equal(uc_reg_read(uc, x_ids[i], &x[i]), 0);
	uc_close(uc);
}

static bool carry_out(u64 esr, u32 insn, u64 far, u64 *x)
{
	struct load l = {esr, far, insn, page, x};

	return load_carry_out(&l);
}

/* The instruction, with X4 as its base, which is `before` bytes before what it loads. */
static void compare(u64 esr, u32 insn, u32 offset, s64 before)
{
	u64 wanted[NR_X], got[NR_X], far = AT + offset;

	fill(wanted, far - (u64)before);
	fill(got, far - (u64)before);
	execute(insn, wanted);
	assert_true(carry_out(esr, insn, far, got));
	assert_memory_equal(got, wanted, sizeof(got));
}

static void single_registers(void **state)
{
	static const struct {
		u32 insn; /* ... x3, [x4] */
		u64 esr;
	} cases[] = {
		{0x39400083, SYNDROME(0, false, false, 3)}, /* ldrb w3 */
		{0x39800083, SYNDROME(0, true, true, 3)},   /* ldrsb x3 */
		{0x39c00083, SYNDROME(0, true, false, 3)},  /* ldrsb w3 */
		{0x79400083, SYNDROME(1, false, false, 3)}, /* ldrh w3 */
		{0x79800083, SYNDROME(1, true, true, 3)},   /* ldrsh x3 */
		{0xb9400083, SYNDROME(2, false, false, 3)}, /* ldr w3 */
		{0xb9800083, SYNDROME(2, true, true, 3)},   /* ldrsw x3 */
		{0xf9400083, SYNDROME(3, false, true, 3)},  /* ldr x3 */
		{0xf940009f, SYNDROME(3, false, true, 31)}, /* ldr xzr */
		{0xf9400084, SYNDROME(3, false, true, 4)},  /* ldr x4, [x4] */
		{0xc8dffc83, SYNDROME(3, false, true, 3)},  /* ldar x3 */
	};

	(void)state;
	for (u32 i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (u32 offset = 8; offset < 64; offset += 8)
			compare(cases[i].esr, cases[i].insn, offset, 0);
	compare(cases[7].esr, cases[7].insn, 13, 0);
	compare(cases[7].esr, cases[7].insn, PAGE_SIZE - 8, 0);
}

static void pairs_and_exclusives(void **state)
{
	static const struct {
		u32 insn;
		s64 before;
	} cases[] = {
		{0xa9401483, 0},   /* ldp x3, x5, [x4] */
		{0xa97f1483, -16}, /* ldp x3, x5, [x4, #-16] */
		{0xa8c11483, 0},   /* ldp x3, x5, [x4], #16 */
		{0xa8ff1483, 0},   /* ldp x3, x5, [x4], #-16 */
		{0xa9c21483, 32},  /* ldp x3, x5, [x4, #32]! */
		{0xa8401483, 0},   /* ldnp x3, x5, [x4] */
		{0x29401483, 0},   /* ldp w3, w5, [x4] */
		{0x28c11483, 0},   /* ldp w3, w5, [x4], #8 */
		{0x69401483, 0},   /* ldpsw x3, x5, [x4] */
		{0x68c11483, 0},   /* ldpsw x3, x5, [x4], #8 */
		{0xa9407c83, 0},   /* ldp x3, xzr, [x4] */
		{0xc85f7c83, 0},   /* ldxr x3, [x4] */
		{0x885ffc83, 0},   /* ldaxr w3, [x4] */
		{0x485f7c83, 0},   /* ldxrh */
		{0x085f7c83, 0},   /* ldxrb */
		{0xc87f1483, 0},   /* ldxp x3, x5, [x4] */
		{0x887f9483, 0},   /* ldaxp w3, w5, [x4] */
	};

	(void)state;
	for (u32 i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		compare(ABORT, cases[i].insn, 0, cases[i].before);
		compare(ABORT, cases[i].insn, 256, cases[i].before);
		compare(ABORT, cases[i].insn, PAGE_SIZE - 16, cases[i].before);
	}
}

static void refused(u64 esr, u32 insn, u32 offset, u64 base)
{
	u64 before[NR_X], x[NR_X];

	fill(before, base);
	fill(x, base);
	assert_false(carry_out(esr, insn, AT + offset, x));
	assert_memory_equal(x, before, sizeof(x));
}

/* Those that only the processor carries out, in a step. */
static void others_are_left_alone(void **state)
{
	static const u32 others[] = {
		0x3dc00080, /* ldr q0, [x4] */
		0xad400480, /* ldp q0, q1, [x4] */
		0x4c402080, /* ld1 {v0.16b-v3.16b}, [x4] */
		0xf8408483, /* ldr x3, [x4], #8: no syndrome, for it writes back */
		0xf8220083, /* ldadd x2, x3, [x4] */
		0xc8a27c83, /* cas x2, x3, [x4] */
		0x48227c84, /* casp */
		0x48627c84, /* caspa, which looks like a load-exclusive pair */
		0xa9001483, /* stp x3, x5, [x4] */
		0,
	};

	(void)state;
	for (u32 i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		refused(ABORT, others[i], 64, AT + 64);
	refused(SYNDROME(3, false, true, 3) | ISS_WNR, 0xf9000083, 64, AT + 64);
	refused(ABORT | ISS_CM | ISS_WNR, 0xd50b7e24, 64, AT + 64);
	refused((u64)EC_IABT_LOWER << 26 | ISS_ISV, 0, 64, AT + 64);
	/* ldp x3, x5, [sp]; and an instruction that does not load from there */
	refused(ABORT, 0xa94017e3, 64, AT + 64);
	refused(ABORT, 0xa9401483, 64, AT + 72);
}

/* A part of it lies on another page, or may. */
static void across_pages(void **state)
{
	(void)state;
	refused(SYNDROME(3, false, true, 3), 0xf9400083, PAGE_SIZE - 4, AT + PAGE_SIZE - 4);
	refused(SYNDROME(3, false, true, 3), 0xf9400083, 0, AT - 4);
	compare(SYNDROME(0, false, false, 3), 0x39400083, 0, 0);
	refused(ABORT, 0xa9401483, PAGE_SIZE - 8, AT + PAGE_SIZE - 8);
	refused(ABORT, 0xa9401483, 0, AT - 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(single_registers),
		cmocka_unit_test(pairs_and_exclusives),
		cmocka_unit_test(others_are_left_alone),
		cmocka_unit_test(across_pages),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
