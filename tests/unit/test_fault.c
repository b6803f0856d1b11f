/* SPDX-License-Identifier: BSD-2-Clause */
/* The handling of an access that stage 2 refuses. */
#include "fake.h"
#include "arch/upcalls.h"
#include "core/cpu.h"
#include "lib/errno.h"
#include "stage2/hide.h"
#include "stage2/shadow_write.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define SHADOWED IPA(0x5000)
#define HIDDEN	 IPA(0x9000)
#define NOTHING	 IPA(0xd000)

static struct cpu *const self = &cpus[1];
static bool replaced;
static int begins; /* what shadow_write_begin() returns */
static u32 begun, also;

/* ---- what the code under test calls ---- */

bool hide_covers(ipa_t ipa)
{
	return ipa.v == HIDDEN.v;
}

bool shadow_write_concerns(ipa_t ipa)
{
	return ipa.v == SHADOWED.v;
}

int shadow_write_begin(ipa_t ipa)
{
	assert_int_equal(ipa.v, SHADOWED.v);
	begun++;
	return begins;
}

void shadow_write_also(ipa_t ipa)
{
	assert_int_equal(ipa.v, SHADOWED.v);
	also++;
}

void shadow_write_end(void)
{
	begun--;
}

bool kexec_check(struct cpu *c)
{
	assert_ptr_equal(c, self);
	return replaced;
}

/* ---- the tests ---- */

static int setup(void **state)
{
	(void)state;
	replaced = false;
	begins = 0;
	begun = also = 0;
	return 0;
}

static void a_write_to_a_shadowed_page_is_stepped(void **state)
{
	(void)state;
	assert_int_equal(guest_fault(self, SHADOWED, true, false), GUEST_FAULT_STEP);
	assert_int_equal(begun, 1);
	guest_fault_stepped();
	assert_int_equal(begun, 0);
}

static void it_crosses_into_another_shadowed_page(void **state)
{
	(void)state;
	assert_int_equal(guest_fault(self, SHADOWED, true, true), GUEST_FAULT_RETRY);
	assert_int_equal(also, 1);
	assert_int_equal(begun, 0);
}

static void the_guest_cannot_be_paused_now(void **state)
{
	(void)state;
	begins = -EAGAIN;
	assert_int_equal(guest_fault(self, SHADOWED, true, false), GUEST_FAULT_RETRY);
}

static void a_new_kernel_writes_over_the_old_one(void **state)
{
	(void)state;
	replaced = true;
	assert_int_equal(guest_fault(self, SHADOWED, true, false), GUEST_FAULT_RETRY);
	assert_int_equal(begun, 0);
}

static void the_rest(void **state)
{
	(void)state;
	assert_int_equal(guest_fault(self, HIDDEN, true, false), GUEST_FAULT_HIDDEN);
	assert_int_equal(guest_fault(self, HIDDEN, false, false), GUEST_FAULT_HIDDEN);
	assert_int_equal(guest_fault(self, NOTHING, true, false), GUEST_FAULT_NOTHING);
	assert_int_equal(guest_fault(self, SHADOWED, false, false), GUEST_FAULT_NOTHING);
	assert_int_equal(begun + also, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
		T(a_write_to_a_shadowed_page_is_stepped),
		T(it_crosses_into_another_shadowed_page),
		T(the_guest_cannot_be_paused_now),
		T(a_new_kernel_writes_over_the_old_one),
		T(the_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
