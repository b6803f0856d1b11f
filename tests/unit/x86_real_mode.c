/* SPDX-License-Identifier: BSD-2-Clause */
/* The vectors that a CPU has between INIT and the monitor's descriptor tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "core/pool.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "../../arch/x86/host.h"
#include "../../arch/x86/hv.h"
#include "../../arch/x86/insn.h"
#include "../../arch/x86/real_mode.h"
#include "stage2/hide.h"

#define TRAMPOLINE 0x9f000u
#define HALT	   0x5au

static struct boot_info info = {.trampoline = {TRAMPOLINE}};
struct boot_info *machine = &info;
const char trampoline_start[1], trampoline_halt[1];

/* ---- what the code under test calls ---- */

static u8 memory[2 * PAGE_SIZE];
static u64 taken[3];
static u32 nr_taken, nr_pages;

void *pool_alloc(size_t pages)
{
	assert_int_equal(pages, 1);
	return nr_pages == 2 ? NULL : memory + nr_pages++ * PAGE_SIZE;
}

int hide_replace(u64 base, pa_t pa)
{
	assert_int_equal(pa.v, (u64)memory + nr_taken * PAGE_SIZE);
	taken[nr_taken++] = base;
	return 0;
}

/* ---- tests ---- */

static int setup(void **state)
{
	(void)state;
	nr_taken = nr_pages = 0;
	info.trampoline = PA(TRAMPOLINE);
	return 0;
}

static void both_modes_halt(void **state)
{
	static u8 page[PAGE_SIZE];
	const u32 *real = (const u32 *)page;
	const struct gate *gates = (const struct gate *)page;

	(void)state;
	memset(page, 0xff, sizeof(page));
	real_mode_vectors(page, TRAMPOLINE, HALT);
	for (u32 i = 0; i < 2; i++) {
		u32 v = i ? VEC_MC : VEC_NMI;
		const struct gate *g = &gates[v];
		u64 to = g->offset_low | (u64)g->offset_mid << 16 | (u64)g->offset_high << 32;

		/* segment and offset */
		assert_int_equal((real[v] >> 16 << 4) + (real[v] & 0xffff), TRAMPOLINE + HALT);
		assert_int_equal(to, TRAMPOLINE + HALT);
		assert_int_equal(g->selector, HOST_CS);
		assert_int_equal(g->type, GATE_INTERRUPT);
		assert_int_equal(g->ist, 0);
	}
	/* nothing that was there stays */
	assert_int_equal(page[PAGE_SIZE - 1], 0);
}

static void the_pages_are_taken(void **state)
{
	(void)state;
	assert_int_equal(real_mode_hide(), 0);
	assert_int_equal(nr_taken, 2);
	assert_int_equal(taken[0], 0);
	assert_int_equal(taken[1], 0xf000);
}

/* The one that is the trampoline's is the monitor's already. */
static void but_the_trampoline(void **state)
{
	(void)state;
	info.trampoline = PA(0xf000);
	assert_int_equal(real_mode_hide(), 0);
	assert_int_equal(nr_taken, 1);
	assert_int_equal(taken[0], 0);
}

static void without_memory(void **state)
{
	(void)state;
	nr_pages = 2;
	assert_int_equal(real_mode_hide(), -ENOMEM);
	assert_int_equal(nr_taken, 0);
}

#define T(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(both_modes_halt),
		T(the_pages_are_taken),
		T(but_the_trampoline),
		T(without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
