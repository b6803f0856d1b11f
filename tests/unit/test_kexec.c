/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The replacement of the kernel is detected, also after a kick, before CPUs that the old kernel has
 * halted may continue.
 */
#include "fake.h"
#include "arch/upcalls.h"
#include "core/cpu.h"
#include "guest/drop.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define ENTRY 0xffffffff81c00000ull

static const struct fake_view kernel = {.can_fetch = true, .va = ENTRY, .ipa = {0x1c00000}};
static const struct fake_view other = {.can_fetch = true};
static const struct fake_view moved = {.can_fetch = true, .va = ENTRY, .ipa = {0x2c00000}};
static const struct fake_view nowhere = {0};
static const struct fake_view program = {.user = true, .can_fetch = true};

static struct cpu *const self = &cpus[1];
static u32 dropped;

/* The others are stopped before: none may run on when the pause for the drop is over. */
s64 drop_all(enum kernel_end how)
{
	assert_int_equal(how, KERNEL_REPLACED);
	assert_true(arch_vcpu_stopped(&cpus[2]) && arch_vcpu_stopped(&cpus[3]));
	dropped++;
	return 0;
}

static int setup(void **state)
{
	(void)state;
	fake_reset(3);
	for_each_cpu (c)
		kexec_cpu_started(c);
	fake_become(self);
	fake_set_view(self, &kernel);
	kexec_entry(self, ENTRY);
	dropped = 0;
	return 0;
}

static void assert_untouched(void)
{
	assert_int_equal(dropped, 0);
	assert_false(arch_vcpu_stopped(&cpus[2]));
}

static void test_same_kernel(void **state)
{
	(void)state;
	kexec_kicked(self);
	assert_false(kexec_check(self));
	assert_untouched();
}

static void test_replaced(void **state)
{
	(void)state;
	fake_set_view(self, &other);
	kexec_kicked(self);
	assert_int_equal(dropped, 1);
	assert_false(arch_vcpu_stopped(self));
	assert_false(arch_vcpu_stopped(&cpus[0])); /* the service CPU */
	/* once is enough */
	kexec_kicked(self);
	assert_false(kexec_check(self));
	assert_int_equal(dropped, 1);
}

/* Its entry has the same address, as kernels of one build have without KASLR. */
static void test_replaced_by_its_like(void **state)
{
	(void)state;
	fake_set_view(self, &moved);
	assert_false(kexec_wants_entry(self));
	assert_true(kexec_check(self));
	assert_int_equal(dropped, 1);
	assert_true(kexec_wants_entry(self));
	kexec_entry(self, ENTRY);
	assert_false(kexec_wants_entry(self));
	assert_false(kexec_check(self));
	/* and so is that one */
	fake_set_view(self, &kernel);
	assert_true(kexec_check(self));
	assert_int_equal(dropped, 2);
}

/* It was halted by the old kernel, whose tables are gone: another CPU runs the new one. */
static void test_left_behind(void **state)
{
	(void)state;
	fake_set_view(self, &nowhere);
	kexec_kicked(self);
	assert_untouched();
	assert_true(arch_vcpu_stopped(self));
}

/* The kick is that of the CPU that runs the new kernel and stops the others. */
static void test_told_to_stop(void **state)
{
	(void)state;
	fake_set_view(self, &other);
	arch_vcpu_stop(self);
	kexec_kicked(self);
	assert_untouched();
}

/* Programs run on tables that may have next to nothing of the kernel. */
static void test_user_mode(void **state)
{
	(void)state;
	fake_set_view(self, &program);
	kexec_kicked(self);
	assert_false(kexec_check(self));
	assert_untouched();
}

/* CPUs come up on tables of their own. */
static void test_no_entry_yet(void **state)
{
	(void)state;
	kexec_cpu_started(self);
	fake_set_view(self, &other);
	assert_false(kexec_check(self));
	/* what it sets is not mapped: as good as none */
	kexec_entry(self, ENTRY);
	assert_false(kexec_check(self));
	assert_untouched();
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
		T(test_same_kernel),  T(test_replaced),	    T(test_replaced_by_its_like),
		T(test_left_behind),  T(test_told_to_stop), T(test_user_mode),
		T(test_no_entry_yet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
