/* SPDX-License-Identifier: BSD-2-Clause */
/* Which calls of the firmware the monitor does not just pass on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "../../arch/arm64/smccc.h"

/* CPU_ON that is passed on would start the guest's code at EL2. */
static void every_form_of_a_psci_call(void **state)
{
	static const u64 cpu_on[] = {0x84000003, 0xc4000003, 0x84010003, 0xc4010003,
				     0xffffffffc4000003};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(cpu_on); i++) {
		assert_int_equal(smccc_function(cpu_on[i]), 0x84000003);
		assert_true(smccc_is_psci(cpu_on[i]));
		assert_false(smccc_is_sdei(cpu_on[i]));
	}
	assert_true(smccc_is_psci(0x84000000));
	assert_true(smccc_is_psci(0x8400001f));
}

static void other_calls_are_not_psci(void **state)
{
	/* yielding; architecture, SiP, vendor's hypervisor; TRNG; the agent's own */
	static const u64 other[] = {0x04000003, 0x44000003, 0x80000000, 0xc2000003,
				    0xc6000003, 0x84000050, 0x53750000, 0};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(other); i++) {
		assert_false(smccc_is_psci(other[i]));
		assert_false(smccc_is_sdei(other[i]));
	}
	assert_int_equal(smccc_function(0x53750000), 0);
	assert_int_equal(smccc_function(0x80000000), 0x80000000);
}

/* SDEI_VERSION, SDEI_EVENT_REGISTER, SDEI_SHARED_RESET */
static void delegated_exceptions(void **state)
{
	static const u64 sdei[] = {0xc4000020, 0xc4000021, 0xc4010021, 0xc4000032, 0x8400003f};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(sdei); i++) {
		assert_true(smccc_is_sdei(sdei[i]));
		assert_false(smccc_is_psci(sdei[i]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_form_of_a_psci_call),
		cmocka_unit_test(other_calls_are_not_psci),
		cmocka_unit_test(delegated_exceptions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
