/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What Linux asks of who enters it at EL1 (Documentation/arch/arm64/booting.rst), feature by
 * feature; and what else is in the registers of DDI 0487 that traps unless it is allowed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "../../arch/arm64/features.h"
#include "lib/string.h"

#define BIT(n) (1ull << (n))

static struct allowed allow(struct id_regs id)
{
	struct allowed a;

	features_allow(&id, &a);
	return a;
}

static void check(struct id_regs id, struct allowed want)
{
	struct allowed a = allow(id);

	assert_memory_equal(&a, &want, sizeof(a));
}

/* Their registers of EL2 are not there: nothing may be written to them, and HCR_EL2's bits are
 * RES0. */
static void old_processors(void **state)
{
	(void)state;
	check((struct id_regs){0}, (struct allowed){0});
	/* Cortex-A72: with AArch32, a GICv3, a PMU and breakpoints */
	check((struct id_regs){.pfr0 = 0x01002222, .dfr0 = 0x10305106}, (struct allowed){0});
	/* Neoverse N1: RAS, SSBS, CSV2, SPE */
	check((struct id_regs){.pfr0 = 0x1100000010112222,
			       .pfr1 = 0x20,
			       .isar1 = 0x100001,
			       .dfr0 = 0x110305408,
			       .pmsidr = 0x6a},
	      (struct allowed){0});
}

static void features_of_hcr(void **state)
{
	static const struct id_regs pauth[] = {
		{.isar1 = BIT(4)},  {.isar1 = BIT(8)},	{.isar1 = BIT(24)},
		{.isar1 = BIT(28)}, {.isar2 = BIT(12)}, {.isar2 = BIT(8)},
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(pauth); i++)
		check(pauth[i], (struct allowed){.hcr = BIT(40) | BIT(41)});
	check((struct id_regs){.pfr1 = 1 << 8}, (struct allowed){0});
	check((struct id_regs){.pfr1 = 2 << 8}, (struct allowed){.hcr = BIT(56)});
	check((struct id_regs){.pfr0 = 1ull << 56}, (struct allowed){0});
	check((struct id_regs){.pfr0 = 2ull << 56}, (struct allowed){.hcr = BIT(53)});
	check((struct id_regs){.pfr0 = 1ull << 56, .pfr1 = 2ull << 32},
	      (struct allowed){.hcr = BIT(53)});
	check((struct id_regs){.pfr0 = 2ull << 28}, (struct allowed){.hcr = BIT(47)});
	check((struct id_regs){.pfr0 = 1ull << 28, .pfr1 = 1 << 12},
	      (struct allowed){.hcr = BIT(47)});
}

static void features_of_the_extended_hcr(void **state)
{
	(void)state;
	check((struct id_regs){.isar2 = 1 << 16}, (struct allowed){.hcrx = BIT(11)});
	check((struct id_regs){.mmfr3 = 0x11}, (struct allowed){.hcrx = BIT(14) | BIT(15)});
	/* D128, whose tables the monitor cannot read */
	check((struct id_regs){.mmfr3 = 1ull << 32}, (struct allowed){0});
	check((struct id_regs){.pfr2 = 1ull << 32}, (struct allowed){.hcrx = BIT(23)});
	check((struct id_regs){.isar1 = 1ull << 60}, (struct allowed){.hcrx = BIT(1)});
	check((struct id_regs){.isar1 = 2ull << 60}, (struct allowed){.hcrx = BIT(1) | BIT(2)});
	check((struct id_regs){.isar1 = 3ull << 60},
	      (struct allowed){.hcrx = BIT(0) | BIT(1) | BIT(2), .hfgxtr = BIT(50)});
}

static void features_with_fine_grained_traps(void **state)
{
	(void)state;
	/* SME */
	check((struct id_regs){.pfr1 = 1 << 24}, (struct allowed){.hfgxtr = BIT(54) | BIT(55)});
	/* S1PIE, S1POE */
	check((struct id_regs){.mmfr3 = 1 << 8}, (struct allowed){.hfgxtr = BIT(57) | BIT(58)});
	check((struct id_regs){.mmfr3 = 1 << 16}, (struct allowed){.hfgxtr = BIT(59) | BIT(60)});
	/* GCS */
	check((struct id_regs){.pfr1 = 1ull << 44},
	      (struct allowed){.hcrx = BIT(22),
			       .hfgxtr = BIT(52) | BIT(53),
			       .hfgitr = BIT(57) | BIT(58) | BIT(59)});
	/* BRBE */
	check((struct id_regs){.dfr0 = 1ull << 52},
	      (struct allowed){.hdfgrtr = BIT(59) | BIT(60) | BIT(61),
			       .hdfgwtr = BIT(60) | BIT(61),
			       .hfgitr = BIT(55) | BIT(56)});
	/* THE, PFAR */
	check((struct id_regs){.pfr1 = 1ull << 48},
	      (struct allowed){.hfgxtr = BIT(56), .hfgxtr2 = BIT(2)});
	check((struct id_regs){.pfr1 = 1ull << 60}, (struct allowed){.hfgxtr2 = BIT(0)});
}

static void features_of_the_profilers(void **state)
{
	(void)state;
	check((struct id_regs){.dfr0 = 2ull << 32}, (struct allowed){0});
	check((struct id_regs){.dfr0 = 3ull << 32},
	      (struct allowed){.hdfgrtr = BIT(62), .hdfgwtr = BIT(62)});
	/* FDS is bit 7, below the interval */
	check((struct id_regs){.dfr0 = 1ull << 32, .pmsidr = 0xf7f}, (struct allowed){0});
	check((struct id_regs){.dfr0 = 1ull << 32, .pmsidr = 0x80},
	      (struct allowed){.hdfgxtr2 = BIT(19)});
	check((struct id_regs){.dfr0 = 8 << 8}, (struct allowed){0});
	check((struct id_regs){.dfr0 = 9 << 8},
	      (struct allowed){.hdfgxtr2 = BIT(2) | BIT(3) | BIT(4)});
	/* a PMU that is none of Arm's */
	check((struct id_regs){.dfr0 = 15 << 8}, (struct allowed){0});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(old_processors),
		cmocka_unit_test(features_of_hcr),
		cmocka_unit_test(features_of_the_extended_hcr),
		cmocka_unit_test(features_with_fine_grained_traps),
		cmocka_unit_test(features_of_the_profilers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
