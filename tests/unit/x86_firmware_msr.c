/* SPDX-License-Identifier: BSD-2-Clause */
/* The bits of the firmware's MSRs that the guest may change, and all others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "lib/errno.h"
#include "lib/types.h"
#include "../../arch/x86/firmware_msr.h"
#include "../../arch/x86/hv.h"
#include "../../arch/x86/insn.h"

static struct cpu cpu;
static u64 value;
static bool there;
static u32 writes;

int rdmsr_safe(u32 msr, u64 *v)
{
	(void)msr;
	*v = value;
	return there ? 0 : -EIO;
}

int wrmsr_safe(u32 msr, u64 v)
{
	(void)msr;
	writes++;
	value = v;
	return 0;
}

/* Each bit alone, set and clear: it changes if it is one of these. */
static void check_bits(int (*set)(struct cpu *c, u32 msr, u64 v), u32 msr, u64 bits)
{
	there = true;
	for (u32 bit = 0; bit < 64; bit++)
		for (u32 was = 0; was < 2; was++) {
			u64 before = was ? ~0ull : 0, wanted = before ^ 1ull << bit;
			bool allowed = bits >> bit & 1;

			value = before;
			assert_int_equal(set(&cpu, msr, wanted), allowed ? 0 : -EIO);
			assert_true(value == (allowed ? wanted : before));
			/* what changes nothing is allowed */
			assert_int_equal(set(&cpu, msr, value), 0);
		}
	there = false;
	assert_int_equal(set(&cpu, msr, value), -EIO);
}

static void bits_of_syscfg(void **state)
{
	(void)state;
	check_bits(firmware_set_syscfg, MSR_SYSCFG, 1ull << 18 | 1ull << 19);
}

static void bits_of_hwcr(void **state)
{
	(void)state;
	check_bits(firmware_set_hwcr, MSR_HWCR,
		   1ull << 6 | 1ull << 10 | 1ull << 18 | 1ull << 25 | 1ull << 30);
}

static void microcode_is_not_loaded(void **state)
{
	(void)state;
	writes = 0;
	assert_int_equal(firmware_ignore_microcode(&cpu, MSR_PATCH_LOADER, 0x1000), 0);
	assert_int_equal(writes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bits_of_syscfg),
		cmocka_unit_test(bits_of_hwcr),
		cmocka_unit_test(microcode_is_not_loaded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
