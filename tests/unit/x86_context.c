/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The context of a held CPU: the kernel's per-CPU base at each point of a kernel entry, and whether
 * the CPU is halted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "arch/cpu.h"
#include "../../arch/x86/hv.h"

#define KERNEL 0xffff88807c600000ull /* GS base of the CPU */
#define USER   0x00007f1234560000ull
#define ODD    0xffffffffdead0000ull /* user code may load that as well */

static struct arch_cpu arch_cpu;
static struct cpu cpu = {.arch = &arch_cpu};

static struct vcpu_context context(u32 cpl, u64 active, u64 inactive)
{
	struct vcpu_context ctx;

	arch_cpu.vcpu.cpl = cpl;
	arch_cpu.vcpu.gs_base = active;
	arch_cpu.vcpu.kernel_gs_base = inactive;
	memset(&ctx, 0xff, sizeof(ctx));
	arch_vcpu_context(&cpu, &ctx);
	assert_int_equal(ctx.user, cpl == 3);
	return ctx;
}

static void assert_bases(struct vcpu_context ctx, u64 base, u64 other)
{
	assert_int_equal(ctx.percpu_base, base);
	assert_int_equal(ctx.other_base, other);
}

static void the_kernel_s_base_is_found(void **state)
{
	(void)state;
	assert_bases(context(3, USER, KERNEL), KERNEL, 0); /* in user mode */
	assert_bases(context(3, ODD, KERNEL), KERNEL, 0);
	assert_bases(context(0, USER, KERNEL), KERNEL, 0); /* entered, before SWAPGS */
	assert_bases(context(0, 0, KERNEL), KERNEL, 0);
	assert_bases(context(0, KERNEL, USER), KERNEL, 0); /* behind it */
	assert_bases(context(0, KERNEL, 0), KERNEL, 0);
	/* either may be the kernel's */
	assert_bases(context(0, ODD, KERNEL), ODD, KERNEL);
	assert_bases(context(0, KERNEL, ODD), KERNEL, ODD);
}

static void all_registers_but_the_stack_pointer(void **state)
{
	struct vcpu *v = &arch_cpu.vcpu;
	struct vcpu_context ctx;
	u32 n = 0;

	(void)state;
	for (u32 r = 0; r < NR_GPRS; r++)
		v->gpr[r] = 100 + r;
	v->rip = 77;
	ctx = context(0, KERNEL, USER);
	assert_int_equal(ctx.ip, 77);
	assert_int_equal(ctx.sp, 100 + RSP);
	assert_true(ctx.sp_is_users); /* the first instructions of a system call */
	v->gpr[RSP] = KERNEL;
	assert_false(context(0, KERNEL, USER).sp_is_users);
	v->gpr[RSP] = 100;
	assert_false(context(3, USER, KERNEL).sp_is_users);
	assert_int_equal(ctx.nr_regs, NR_GPRS - 1);
	for (u32 r = 0; r < NR_GPRS; r++)
		if (r != RSP)
			assert_int_equal(ctx.regs[n++], 100 + r);
}

static const u8 *code; /* around RIP, which is at code[1]; NULL: nothing can be read there */

size_t vcpu_fetch(struct cpu *c, s64 offset, u8 *buf, size_t len)
{
	(void)c;
	if (!code)
		return 0;
	memcpy(buf, code + 1 + offset, len);
	return len;
}

static enum vcpu_halt halt(const u8 *at, u64 rflags)
{
	code = at;
	arch_cpu.vcpu.rflags = rflags;
	return arch_vcpu_halt(&cpu);
}

static void halted_cpus(void **state)
{
	static const u8 behind[] = {0xf4, 0xeb}, before[] = {0x90, 0xf4}, neither[] = {0x90, 0xeb};
	const u64 on = 0x202, off = 0x2;

	(void)state;
	assert_int_equal(halt(behind, off), VCPU_STOPPED);
	assert_int_equal(halt(before, off), VCPU_STOPPED);
	assert_int_equal(halt(behind, on), VCPU_IDLE);
	assert_int_equal(halt(neither, on), VCPU_RUNS);
	assert_int_equal(halt(neither, off), VCPU_RUNS);
	assert_int_equal(halt(NULL, off), VCPU_RUNS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_kernel_s_base_is_found),
		cmocka_unit_test(all_registers_but_the_stack_pointer),
		cmocka_unit_test(halted_cpus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
