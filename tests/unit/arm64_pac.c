/* SPDX-License-Identifier: BSD-2-Clause */
/* Authentication codes of arm64's return addresses, for each size that addresses have in Linux. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "../../arch/arm64/include/arch/pac.h"

static u64 seed = 88172645463325252ull;

static u64 rnd(void)
{
	seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
	return seed;
}

/* Bits 54 to va_bits, and 63 to 56 unless the top byte is a tag (Arm ARM D8.10, AddPAC). */
static u64 sign(u64 address, u32 va_bits, bool tags)
{
	u64 code = ~0ull << va_bits & ~(1ull << 55);

	if (tags)
		code &= ~(0xffull << 56);
	return (address & ~code) | (rnd() & code);
}

static void codes_are_stripped(void **state)
{
	static const u32 sizes[] = {36, 39, 42, 47, 48, 52};

	(void)state;
	for (u32 i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		u64 kernel = ~0ull << sizes[i];

		pac_set_tcr((64ull - sizes[i]) << 16 | 16);
		for (u32 n = 0; n < 10000; n++) {
			u64 address = kernel | (rnd() & ~kernel), user = rnd() & ~kernel;

			assert_int_equal(arch_strip_pac(address), address);
			assert_int_equal(arch_strip_pac(sign(address, sizes[i], n & 1)), address);
			assert_int_equal(arch_strip_pac(sign(user, sizes[i], n & 1)), user);
		}
	}
}

/* The bits of a larger address are no code, and stay apart. */
static void addresses_of_52_bits(void **state)
{
	(void)state;
	pac_set_tcr(12 << 16);
	assert_int_equal(arch_strip_pac(0xfff0800008123456), 0xfff0800008123456);
	assert_int_equal(arch_strip_pac(0xff80800008123456 | 5ull << 52), 0xfff0800008123456);
	pac_set_tcr(16 << 16);
	assert_int_equal(arch_strip_pac(0xfff0800008123456), 0xffff800008123456);
}

/* Before it is known no code is overlooked. */
static void the_widest_codes_at_first(void **state)
{
	(void)state;
	assert_int_equal(arch_strip_pac(0x12805678f8123456), 0xfffffff8f8123456);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_widest_codes_at_first),
		cmocka_unit_test(codes_are_stripped),
		cmocka_unit_test(addresses_of_52_bits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
