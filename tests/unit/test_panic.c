/* SPDX-License-Identifier: BSD-2-Clause */
/* A panic that the agent reports, and one that only the state of the CPUs shows. */
#include "fake.h"
#include "arch/cpu.h"
#include "core/cpu.h"
#include "guest/mem.h"
#include "guest/panic.h"
#include "lib/errno.h"
#include "lib/string.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>
#include <suture/abi.h>

/* As the service loop does. */
static bool take(char *text, size_t size)
{
	bool told = panic_look(text, size);

	if (told)
		panic_known();
	return told;
}

static int setup(void **state)
{
	const struct guest_ram ram = {FAKE_RAM_BASE, FAKE_GUEST_RAM_SIZE};

	(void)state;
	fake_reset(3);
	return guest_mem_init(&ram, 1, 0, 0);
}

static void is_told_once(void **state)
{
	ipa_t page = fake_guest_alloc(PAGE_SIZE);
	char text[SUTURE_TEXT_LEN];

	(void)state;
	memcpy(arch_ptr(PA(page.v)), "Fatal exception|", 16);
	assert_false(take(text, sizeof(text)));
	assert_int_equal(panic_told(page.v, 15), 0);
	assert_int_equal(panic_told(page.v, 5), 0); /* the first word is the cause */
	assert_true(take(text, sizeof(text)));
	assert_string_equal(text, "Fatal exception");
	assert_false(take(text, sizeof(text)));
	assert_int_equal(panic_told(0, 0), 0);
	assert_true(take(text, sizeof(text)));
	assert_string_equal(text, "");
}

/* What cannot be read is a panic all the same. */
static void is_told_without_its_line(void **state)
{
	char text[SUTURE_TEXT_LEN];

	(void)state;
	assert_int_equal(panic_told(0, SUTURE_TEXT_LEN), -EMSGSIZE);
	assert_true(take(text, sizeof(text)));
	assert_string_equal(text, "");
	assert_int_not_equal(panic_told(FAKE_POOL_BASE, 10), 0);
	assert_true(take(text, sizeof(text)));
	assert_string_equal(text, "");
	assert_int_not_equal(panic_told(UINT64_MAX - 4, 10), 0);
	assert_true(take(text, sizeof(text)));
}

/* The threads of a busy host may come late to a pause. */
static int suspected(void)
{
	int r = -ETIMEDOUT;

	for (u32 i = 0; i < 100 && r == -ETIMEDOUT; i++)
		r = panic_suspected();
	return r;
}

static void is_suspected(void **state)
{
	(void)state;
	assert_int_equal(suspected(), 0); /* no CPU has been started */
	fake_guest_start(NULL);
	assert_int_equal(suspected(), 0);
	fake_set_halt(&cpus[1], VCPU_STOPPED);
	assert_int_equal(suspected(), 0);
	fake_set_halt(&cpus[3], VCPU_STOPPED);
	assert_int_equal(suspected(), 1);
	/* a CPU that waits for an interrupt is well, though all others are offline */
	fake_set_halt(&cpus[2], VCPU_IDLE);
	assert_int_equal(suspected(), 0);
	fake_guest_stop();
}

/* One guest CPU alone is no evidence: there is no other that it could have halted. */
static void one_cpu_tells_nothing(void **state)
{
	(void)state;
	fake_reset(1);
	fake_guest_start(NULL);
	assert_int_equal(suspected(), 0);
	fake_set_halt(&cpus[1], VCPU_STOPPED);
	assert_int_equal(suspected(), 0);
	fake_guest_stop();
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
		T(is_told_once),
		T(is_told_without_its_line),
		T(is_suspected),
		T(one_cpu_tells_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
