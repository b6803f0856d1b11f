/* SPDX-License-Identifier: BSD-2-Clause */
/* Redistributors of a GIC, as memory, and the one that is the service CPU's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../arch/arm64/gic.h"
#include "arch/memory.h"
#include "fake.h"
#include "lib/string.h"

#define FRAME 0x20000ull
#define AT    (FAKE_RAM_BASE + (1ull << 20))

static void frame(u64 at, u32 version, u64 typer)
{
	u32 pidr2 = version << 4 | 0xb;

	memcpy(arch_ptr(PA(at + 0xffe8)), &pidr2, sizeof(pidr2));
	memcpy(arch_ptr(PA(at + 8)), &typer, sizeof(typer));
}

static void check(const struct boot_ranges *r, u64 hwid, u64 base, u64 size)
{
	struct boot_range found = gic_find(r, hwid);

	assert_int_equal(found.base, base);
	assert_int_equal(found.size, size);
}

static void finds_the_cpus_own(void **state)
{
	struct boot_ranges r = {.count = 2,
				.range = {{AT, 3 * FRAME}, {AT + 4 * FRAME, 4 * FRAME}}};

	(void)state;
	fake_reset(1);
	frame(AT, 3, 0);
	frame(AT + FRAME, 3, 0x00000001ull << 32);
	/* Aff3 of MPIDR_EL1 is apart; what is behind the last one of a region is not looked at */
	frame(AT + 2 * FRAME, 3, 0x05010002ull << 32 | 1 << 4);
	/* with virtual LPIs: 4 frames each */
	frame(AT + 4 * FRAME, 4, 0x00000100ull << 32 | 1 << 1);
	frame(AT + 6 * FRAME, 4, 0x00000101ull << 32 | 1 << 1);
	check(&r, 0, AT, FRAME);
	check(&r, 1, AT + FRAME, FRAME);
	check(&r, 0x500010002, AT + 2 * FRAME, FRAME);
	check(&r, 0x100, AT + 4 * FRAME, 2 * FRAME);
	check(&r, 0x101, AT + 6 * FRAME, 2 * FRAME);
	check(&r, 2, 0, 0);
}

static void stops_at_the_end(void **state)
{
	struct boot_ranges r = {.count = 1, .range = {{AT, 4 * FRAME}}};

	(void)state;
	fake_reset(1);
	frame(AT, 3, 0);
	frame(AT + FRAME, 2, 1ull << 32); /* no GICv3 */
	frame(AT + 2 * FRAME, 3, 2ull << 32);
	check(&r, 1, 0, 0);
	check(&r, 2, 0, 0);
	frame(AT + FRAME, 3, 1ull << 32 | 1 << 4); /* the last one */
	check(&r, 1, AT + FRAME, FRAME);
	check(&r, 2, 0, 0);
	r.range[0].size = FRAME;
	check(&r, 1, 0, 0);
}

/*
 * A distributor as memory: what is written stays, so that only an SPI can be made pending, and not
 * again, whose bits of GICD_ICPENDR are those of GICD_ISPENDR.
 */
static void set_reg(u32 reg, u32 value)
{
	memcpy(arch_ptr(PA(AT + reg)), &value, sizeof(value));
}

static void what_is_taken_is_not_free(void **state)
{
	struct boot_irqs named = {0};

	(void)state;
	fake_reset(1);
	set_reg(4, 1); /* INTIDs to 63 */
	/* no SPI of memory stops to be pending */
	assert_int_equal(gic_find_free(AT, &named), 0);
	for (u32 i = 32; i < 64; i++)
		irqs_add(&named, i);
	assert_int_equal(gic_find_free(AT, &named), 0);
}

static void sets_one_bit(void **state)
{
	u32 v;

	(void)state;
	fake_reset(1);
	gic_set_pending(AT, 287, true);
	memcpy(&v, arch_ptr(PA(AT + 0x200 + 4 * 8)), sizeof(v));
	assert_int_equal(v, 1u << 31);
	gic_set_pending(AT, 33, false);
	memcpy(&v, arch_ptr(PA(AT + 0x280 + 4)), sizeof(v));
	assert_int_equal(v, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_the_cpus_own),
		cmocka_unit_test(stops_at_the_end),
		cmocka_unit_test(what_is_taken_is_not_free),
		cmocka_unit_test(sets_one_bit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
