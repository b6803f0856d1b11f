/* SPDX-License-Identifier: BSD-2-Clause */
/* The handling of an access that stage 2 refuses. */
#include "fake.h"
#include "arch/pagetable.h"
#include "arch/upcalls.h"
#include "core/cpu.h"
#include "lib/errno.h"
#include "stage2/hide.h"
#include "stage2/shadow_access.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define SHADOWED IPA(0x5000)
#define HIDDEN	 IPA(0x9000)
#define NOTHING	 IPA(0xd000)

static struct cpu *const self = &cpus[1];
static bool replaced;
static int begins; /* what shadow_access_begin() returns */
static u32 begun, also;

/* ---- what the code under test calls ---- */

bool hide_covers(ipa_t ipa)
{
	return ipa.v == HIDDEN.v;
}

bool shadow_access_concerns(ipa_t ipa)
{
	return ipa.v == SHADOWED.v;
}

int shadow_access_begin(ipa_t ipa)
{
	assert_int_equal(ipa.v, SHADOWED.v);
	begun++;
	return begins;
}

void shadow_access_also(ipa_t ipa)
{
	assert_int_equal(ipa.v, SHADOWED.v);
	also++;
}

void shadow_access_end(void)
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
	assert_int_equal(guest_fault(self, SHADOWED, PT_WRITE, false), GUEST_FAULT_STEP);
	assert_int_equal(begun, 1);
	guest_fault_stepped();
	assert_int_equal(begun, 0);
}

/* Its redirects are hidden. A kernel that reads the old one's code has not replaced it. */
static void so_is_a_read(void **state)
{
	(void)state;
	replaced = true;
	assert_int_equal(guest_fault(self, SHADOWED, PT_READ, false), GUEST_FAULT_STEP);
	assert_int_equal(begun, 1);
	assert_int_equal(guest_fault(self, SHADOWED, PT_READ, true), GUEST_FAULT_RETRY);
	assert_int_equal(also, 1);
	guest_fault_stepped();
}

static void it_crosses_into_another_shadowed_page(void **state)
{
	(void)state;
	assert_int_equal(guest_fault(self, SHADOWED, PT_WRITE, true), GUEST_FAULT_RETRY);
	assert_int_equal(also, 1);
	assert_int_equal(begun, 0);
}

static void the_guest_cannot_be_paused_now(void **state)
{
	(void)state;
	begins = -EAGAIN;
	assert_int_equal(guest_fault(self, SHADOWED, PT_WRITE, false), GUEST_FAULT_RETRY);
}

static void a_new_kernel_writes_over_the_old_one(void **state)
{
	(void)state;
	replaced = true;
	assert_int_equal(guest_fault(self, SHADOWED, PT_WRITE, false), GUEST_FAULT_RETRY);
	assert_int_equal(begun, 0);
}

static void the_rest(void **state)
{
	(void)state;
	assert_int_equal(guest_fault(self, HIDDEN, PT_WRITE, false), GUEST_FAULT_HIDDEN);
	assert_int_equal(guest_fault(self, HIDDEN, PT_READ, false), GUEST_FAULT_HIDDEN);
	assert_int_equal(guest_fault(self, NOTHING, PT_WRITE, false), GUEST_FAULT_NOTHING);
	assert_int_equal(guest_fault(self, SHADOWED, PT_EXEC, false), GUEST_FAULT_NOTHING);
	assert_int_equal(begun + also, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
		T(a_write_to_a_shadowed_page_is_stepped), T(so_is_a_read),
		T(it_crosses_into_another_shadowed_page), T(the_guest_cannot_be_paused_now),
		T(a_new_kernel_writes_over_the_old_one),  T(the_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
