/* SPDX-License-Identifier: BSD-2-Clause */
/* What the check gets of a CPU that is held: every register that may have a return address. */
#include "arm64_processor.h"

#define VECTORS 0xffff800008010800ull
#define IN_TEXT 0xffff800008123456ull

static struct arch_cpu arch;
static struct cpu cpu = {.arch = &arch};

static const struct vcpu_context *context(u64 pstate, u64 elr)
{
	static struct vcpu_context ctx;

	arch.vcpu.spsr = pstate;
	arch.vcpu.elr = elr;
	arch_vcpu_context(&cpu, &ctx);
	return &ctx;
}

static int setup(void **state)
{
	(void)state;
	memset(&arch, 0, sizeof(arch));
	for (u32 i = 0; i < ARRAY_SIZE(arch.vcpu.x); i++)
		arch.vcpu.x[i] = 0x1000 + i;
	arch.vcpu.elr_el1 = 0xe1;
	arch.vcpu.sp_el0 = 0xffff80000a000000;
	arch.vcpu.sp_el1 = 0xffff80000b000000;
	arch.vcpu.tpidr_el1 = 0xffff000012340000;
	arch.vcpu.vbar_el1 = VECTORS;
	return 0;
}

static void all_registers_and_the_link(void **state)
{
	const struct vcpu_context *ctx = context(PSTATE_EL1H, IN_TEXT);

	(void)state;
	assert_int_equal(ctx->nr_regs, 32);
	for (u32 i = 0; i < 31; i++)
		assert_int_equal(ctx->regs[i], 0x1000 + i);
	assert_int_equal(ctx->ip, IN_TEXT);
	assert_int_equal(ctx->percpu_base, 0xffff000012340000);
	assert_false(ctx->user || ctx->sp_is_users);
}

/* Between the exception and the store to struct pt_regs, and before the exception's return. */
static void what_an_exception_interrupted(void **state)
{
	const struct vcpu_context *ctx = context(PSTATE_EL1H, IN_TEXT);
	bool found = false;

	(void)state;
	for (u32 i = 0; i < ctx->nr_regs; i++)
		found |= ctx->regs[i] == 0xe1;
	assert_true(found);
}

static void stack_pointers(void **state)
{
	(void)state;
	assert_int_equal(context(PSTATE_EL1H, IN_TEXT)->sp, 0xffff80000b000000);
	assert_int_equal(context(PSTATE_EL1H & ~1ull, IN_TEXT)->sp, 0xffff80000a000000);
	assert_int_equal(context(0, 0x400000)->sp, 0xffff80000a000000);
}

static void users(void **state)
{
	(void)state;
	assert_true(context(0, 0x400000)->user);
	/* AArch32, whose modes are others */
	assert_true(context(PSTATE_A32 | 0x1f, 0x400000)->user);
	assert_false(context(PSTATE_EL1H, IN_TEXT)->user);
	assert_false(context(PSTATE_EL1H & ~1ull, IN_TEXT)->user);
}

/* The vectors' first instructions compute with the stack pointer. */
static void the_stack_pointer_is_lost_in_the_vectors(void **state)
{
	(void)state;
	assert_true(context(PSTATE_EL1H, VECTORS + 4)->sp_is_lost);
	assert_true(context(PSTATE_EL1H, VECTORS + 0x7fc)->sp_is_lost);
	assert_false(context(PSTATE_EL1H, VECTORS + 0x800)->sp_is_lost);
	assert_false(context(PSTATE_EL1H, VECTORS - 4)->sp_is_lost);
	assert_false(context(0, VECTORS)->sp_is_lost);
}

/* Nothing of the kernel has been executed at the first instruction of a vector. */
static void at_the_beginning_of_a_vector(void **state)
{
	const struct vcpu_context *ctx = context(PSTATE_EL1H, VECTORS + 0x280);

	(void)state;
	assert_false(ctx->sp_is_lost);
	assert_false(ctx->user);
	ctx = context(PSTATE_EL1H, VECTORS + 0x480);
	assert_false(ctx->sp_is_lost);
	assert_true(ctx->user);
	ctx = context(PSTATE_EL1H, VECTORS + 0x484);
	assert_true(ctx->sp_is_lost);
	assert_false(ctx->user);
}

/* WFI with what is masked there tells who idles and who was stopped. */
static void halted(void **state)
{
	(void)state;
	arch.vcpu.spsr = PSTATE_EL1H | PSTATE_DAIF;
	assert_int_equal(arch_vcpu_halt(&cpu), VCPU_RUNS);
	arch.halted = true;
	assert_int_equal(arch_vcpu_halt(&cpu), VCPU_STOPPED);
	arch.vcpu.spsr = PSTATE_EL1H | 3ull << 6;
	assert_int_equal(arch_vcpu_halt(&cpu), VCPU_IDLE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(all_registers_and_the_link, setup),
		cmocka_unit_test_setup(what_an_exception_interrupted, setup),
		cmocka_unit_test_setup(stack_pointers, setup),
		cmocka_unit_test_setup(users, setup),
		cmocka_unit_test_setup(the_stack_pointer_is_lost_in_the_vectors, setup),
		cmocka_unit_test_setup(at_the_beginning_of_a_vector, setup),
		cmocka_unit_test_setup(halted, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
