/* SPDX-License-Identifier: BSD-2-Clause */
/* What arm64's exceptions tell, and PSTATE behind them: bits by hand from the manual (DDI 0487). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "../../arch/arm64/exception.h"

#define DABT 0x92000000ull /* EC 0x24, IL */
#define IABT 0x82000000ull /* EC 0x20, IL */
#define SS   (1ull << 21)

static void what_an_abort_asked_for(void **state)
{
	static const struct {
		u64 esr;
		u32 need;
	} want[] = {
		{DABT | 0x06, PT_READ},
		{DABT | 0x46, PT_WRITE},
		{DABT | 0x4f, PT_WRITE},
		{IABT | 0x07, PT_EXEC},
		{IABT | 0x0f, PT_EXEC},
		/* a walk of a store's, of a fetch's; it sets the access flag */
		{DABT | 0xc6, PT_READ},
		{IABT | 0x87, PT_READ},
		/* the root of five levels (FEAT_LPA2) */
		{IABT | 0xab, PT_READ},
		{DABT | 0xeb, PT_READ},
		{DABT | 0x8f, PT_WRITE},
		{IABT | 0x8f, PT_WRITE},
		/* DC CVAU, with stage 2 taken away; DC IVAC on a page that is read-only */
		{DABT | 0x146, PT_READ},
		{DABT | 0x14f, PT_WRITE},
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(want); i++) {
		assert_true(abort_is_refusal(want[i].esr));
		assert_int_equal(abort_need(want[i].esr), want[i].need);
	}
}

/* External aborts, of stage 2's own walk too; a conflict in a TLB; no exclusive accesses there. */
static void aborts_for_other_reasons(void **state)
{
	static const u32 other[] = {0x00, 0x10, 0x14, 0x17, 0x21, 0x30, 0x35};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(other); i++)
		assert_false(abort_is_refusal(DABT | other[i]));
}

static void an_instruction_is_over(void **state)
{
	(void)state;
	/* EL1h, a step of the guest's, BTYPE 2, flags: the step is over, and the jump to it */
	assert_true(pstate_behind(0x600008c5 | SS) == 0x600000c5);
	/* A32 in EL0: no IT */
	assert_true(pstate_behind(0x60000010 | SS) == 0x60000010);
}

/* IT of SPSR: bits 7 to 2 in 15:10, bits 1 and 0 in 26:25. */
static u64 it_state(u64 it)
{
	return 0x30 | (it >> 2) << 10 | (it & 3) << 25;
}

static void an_it_block_goes_on(void **state)
{
	(void)state;
	/* ITETE NE, from its first instruction on */
	assert_true(pstate_behind(it_state(0x15)) == it_state(0x0a));
	assert_true(pstate_behind(it_state(0x0a)) == it_state(0x14));
	assert_true(pstate_behind(it_state(0x14)) == it_state(0x08));
	assert_true(pstate_behind(it_state(0x08)) == it_state(0));
	assert_true(pstate_behind(it_state(0)) == it_state(0));
}

#define SPAN	  (1ull << 23)
#define DSSBS	  (1ull << 44)
#define SPINTMASK (1ull << 62)

static void the_entry_of_el1(void **state)
{
	const struct pstate_features none = {0}, all = {true, true, true};
	const u64 el0 = 0x90000000, all_set = 0xfbffffc0 | 4;

	(void)state;
	/* flags stay; all is masked, on SP_EL1 */
	assert_true(pstate_of_entry(el0, 0, none) == (0x90000000 | 0x3c5));
	/* PAN, TCO and ALLINT are set; SSBS comes from SCTLR_EL1 */
	assert_true(pstate_of_entry(el0, 0, all) ==
		    (0x90000000 | 1 << 22 | 1 << 25 | 1 << 13 | 0x3c5));
	assert_true(pstate_of_entry(el0, SPAN | DSSBS | SPINTMASK, all) ==
		    (0x90000000 | 1 << 25 | 1 << 12 | 0x3c5));
	/* UAO, SS, IL, SSBS, BTYPE and ALLINT are cleared; DIT and PAN stay */
	assert_true(pstate_of_entry(all_set, SPAN, none) ==
		    (0xf0000000 | 1 << 24 | 1 << 22 | 0x3c5));
	assert_int_equal(vector_offset(0x3c5), 0x200);
	assert_int_equal(vector_offset(0x3c4), 0);
	assert_int_equal(vector_offset(0x0), 0x400);
	assert_int_equal(vector_offset(0x10), 0x600);
}

/* The guest steps too (kgdb): its step ends with the instruction, and not before. */
static void a_step_of_both(void **state)
{
	const u64 guest = 0x60000105, stepping = guest | SS, in_step = 0x600003c5;

	(void)state;
	assert_true(pstate_stepped(in_step, guest, true) == guest);
	assert_true(pstate_stepped(in_step, stepping, true) == guest);
	assert_true(pstate_stepped(in_step | SS, stepping, false) == stepping);
	assert_true(pstate_stepped(in_step | SS, guest, false) == guest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_an_abort_asked_for),
		cmocka_unit_test(aborts_for_other_reasons),
		cmocka_unit_test(an_instruction_is_over),
		cmocka_unit_test(an_it_block_goes_on),
		cmocka_unit_test(the_entry_of_el1),
		cmocka_unit_test(a_step_of_both),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
