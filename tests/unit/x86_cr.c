/* SPDX-License-Identifier: BSD-2-Clause */
/* The bits of control registers and of XCR0 that the guest may set. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "../../arch/x86/hv.h"
#include "../../arch/x86/policy.h"

static void the_cr_bits_are_listed_once(void **state)
{
	u64 seen[5] = {0};

	(void)state;
	for (u32 i = 0; i < nr_cr_rules; i++) {
		const struct cr_rule *r = &cr_rules[i];

		assert_true(r->cr == 0 || r->cr == 4);
		assert_true(r->policy == PASS || r->policy == MIRROR);
		assert_false(seen[r->cr] & r->bits);
		if (i)
			assert_true(r->cr >= cr_rules[i - 1].cr);
		seen[r->cr] |= r->bits;
	}
}

static void control_registers(void **state)
{
	const u64 vmxe = 1 << 13, smxe = 1 << 14, uintr = 1 << 25, lam = 1 << 28, fred = 1ull << 32;
	const u64 linux_cr0 = 0x80050033, linux_cr4 = 0xf72ef0 & ~vmxe;

	(void)state;
	assert_true(cr_allows(0, linux_cr0));
	assert_true(cr_allows(0, linux_cr0 | CR0_NW | CR0_CD));
	assert_false(cr_allows(0, linux_cr0 | 1ull << 32));
	assert_true(cr_allows(4, linux_cr4));
	for (u32 bit = 0; bit < 64; bit++)
		assert_true(cr_allows(4, 1ull << bit) || (cr_owned(4) >> bit & 1));
	assert_false(cr_allows(4, linux_cr4 | vmxe));
	assert_false(cr_allows(4, linux_cr4 | smxe));
	assert_false(cr_allows(4, linux_cr4 | uintr));
	assert_false(cr_allows(4, linux_cr4 | lam));
	assert_false(cr_allows(4, linux_cr4 | fred));
	/* NE is the guest's to see and the monitor's to keep */
	assert_true(cr_owned(0) & CR0_NE);
	assert_false(cr_owned(0) & (CR0_PG | CR0_PE | CR0_WP | CR0_CD));
}

static void xsetbv_refusals(void **state)
{
	const u64 avx512 = 0xe7, amx = 3 << 17, all = 0x602ff;
	static const u64 good[] = {1, 3, 7, 0xe7, 0x1f, 0x203, 0x60003, 0x602ff};
	static const u64 bad[] = {
		0,
		2, /* no x87 */
		5, /* AVX without SSE */
		0x27,
		0x67,
		0xc7, /* parts of AVX-512 */
		0xe3, /* AVX-512 without AVX */
		0xb,
		0x13, /* half of MPX */
		0x20003,
		0x40003, /* half of AMX */
		0x80003, /* APX */
		0x103,	 /* supervisor state */
		1ull << 62 | 3,
		1ull << 63 | 3,
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(good); i++)
		assert_true(xcr_allows(0, good[i], ~0ull));
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++)
		if (xcr_allows(0, bad[i], ~0ull))
			fail_msg("XCR0 may be %#llx", (unsigned long long)bad[i]);
	assert_true(xcr_allows(0, all, all));
	assert_false(xcr_allows(0, all, all & ~amx));
	assert_false(xcr_allows(0, avx512, 7));
	assert_false(xcr_allows(1, 3, ~0ull));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_cr_bits_are_listed_once),
		cmocka_unit_test(control_registers),
		cmocka_unit_test(xsetbv_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
