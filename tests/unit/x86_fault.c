/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Accesses that stage 2 refuses and that cannot be carried out: the guest gets an exception. If
 * that cannot be delivered either, the CPU shuts down (triple fault), as on hardware.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "core/cpu.h"
#include "arch/platform.h"
#include "arch/time.h"
#include "arch/upcalls.h"
#include "boot/boot.h"
#include "lib/string.h"
#include "../../arch/x86/hv.h"
#include "../../arch/x86/icr.h"
#include "../../arch/x86/insn.h"

static struct arch_cpu arch;
static struct cpu *self = &cpus[0];
static struct boot_info info = {.local_apic = {0xfee00000}};
struct boot_info *machine = &info;

static int undelivered; /* what the exit kept from being delivered */
static int injected;
static jmp_buf ended;

/* ---- what the code under test calls ---- */

struct cpu *cpu_this(void)
{
	return &cpus[0];
}

int vcpu_undelivered(const struct cpu *c)
{
	assert_ptr_equal(c, self);
	return undelivered;
}

void vcpu_inject_fault(struct cpu *c, u8 vector, bool has_error, u32 error)
{
	assert_ptr_equal(c, self);
	assert_true(has_error);
	assert_int_equal(error, 0);
	injected = vector;
}

static const struct hv_ops ops;
const struct hv_ops *hv = &ops;

void vcpu_shutdown(struct cpu *c)
{
	assert_ptr_equal(c, self);
	longjmp(ended, 1);
}

int vcpu_decode(struct cpu *c, struct guest_insn *insn)
{
	(void)c, (void)insn;
	return -1;
}

enum guest_fault guest_fault(struct cpu *c, ipa_t ipa, bool write, bool stepping)
{
	assert_ptr_equal(c, self);
	(void)write;
	assert_false(stepping);
	return ipa.v < 0x200000 ? GUEST_FAULT_HIDDEN : GUEST_FAULT_NOTHING;
}

void guest_fault_stepped(void)
{
	fail();
}

enum exit_class apic_guest_write(struct cpu *c, u32 offset, u32 value)
{
	(void)c, (void)offset, (void)value;
	return EXIT_IRQCHIP;
}

u64 arch_time_us(void)
{
	return 1000;
}

void arch_debug_putc(char c)
{
	(void)c;
}

/* ---- the tests ---- */

static int setup(void **state)
{
	(void)state;
	self->arch = &arch;
	nr_cpus = 1;
	injected = undelivered = -1;
	return 0;
}

/* One exit; true if it was the last. */
static bool fault(struct stage2_fault f)
{
	if (setjmp(ended))
		return true;
	vcpu_stage2_fault(self, &f);
	return false;
}

static const struct stage2_fault walks[] = {
	{.ipa = {0x1000}, .write = true, .table_walk = true}, /* hidden */
	{.ipa = {0x1000}, .fetch = true},
	{.ipa = {0x1000}, .write = true},
	{.ipa = {0xfee00000}, .write = true}, /* the local APIC, by what cannot be decoded */
	{.ipa = {0x40000000}},		      /* nothing there */
};

static void the_guest_gets_an_exception(void **state)
{
	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(walks); i++) {
		assert_false(fault(walks[i]));
		assert_int_equal(injected, VEC_GP);
	}
	/* an event that is not an exception gives way */
	undelivered = VEC_DB;
	assert_false(fault(walks[0]));
	assert_int_equal(injected, VEC_GP);
}

static void while_an_exception_is_delivered_it_is_a_double_fault(void **state)
{
	static const int firsts[] = {VEC_DE, VEC_TS, 11, 12, VEC_GP, VEC_PF};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(firsts); i++) {
		undelivered = firsts[i];
		assert_false(fault(walks[0]));
		assert_int_equal(injected, VEC_DF);
	}
}

/* Tables that cannot be walked: whatever is injected exits again. */
static void a_guest_without_tables_ends(void **state)
{
	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(walks); i++) {
		u32 exits = 0;

		undelivered = -1;
		while (!fault(walks[i])) {
			undelivered = injected;
			assert_true(++exits < 3);
		}
		assert_int_equal(exits, 2);
	}
}

#define T(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_guest_gets_an_exception),
		T(while_an_exception_is_delivered_it_is_a_double_fault),
		T(a_guest_without_tables_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
