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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_the_cpus_own),
		cmocka_unit_test(stops_at_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
