/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A kick finds out that the kernel has been replaced, before the CPUs that the old one has halted
 * are let go on; and whose an NMI is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "agent/drop.h"
#include "arch/cpu.h"
#include "arch/platform.h"
#include "arch/time.h"
#include "lib/string.h"
#include "../../arch/x86/apic.h"
#include "../../arch/x86/hv.h"
#include "../../arch/x86/smp.h"

#define ENTRY	  0xffffffff81c00000ull
#define ENTRY_IPA 0x1c00000ull

static struct arch_cpu arch[2];
static struct cpu *self = &cpus[0];
static const struct hv_ops ops;
const struct hv_ops *hv = &ops;

static bool mapped; /* the page tables in use lead to the entry */
static bool runs;   /* and if not to that, to the next instruction */
static u32 asked;   /* they were walked */
static u32 stopped; /* when the other CPUs were stopped, counted from 1 */
static u32 dropped; /* when the redirects were */
static u32 events, nmis;

/* ---- what the code under test calls ---- */

int vcpu_translate(struct cpu *c, u64 va, ipa_t *ipa)
{
	(void)c;
	assert_int_equal(va, ENTRY);
	asked++;
	*ipa = IPA(ENTRY_IPA);
	return mapped ? 0 : -1;
}

size_t vcpu_fetch(struct cpu *c, s64 offset, u8 *buf, size_t len)
{
	(void)c, (void)offset, (void)buf;
	return mapped || runs ? len : 0;
}

void smp_stop_others(struct cpu *c)
{
	assert_ptr_equal(c, self);
	stopped = ++events;
}

s64 drop_all(enum kernel_end how)
{
	assert_int_equal(how, KERNEL_REPLACED);
	dropped = ++events;
	return 0;
}

void apic_send(u64 hwid, u32 icr)
{
	assert_int_equal(hwid, 1);
	assert_int_equal(APIC_MODE(icr), APIC_NMI);
	nmis++;
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
	memset(arch, 0, sizeof(arch));
	nr_cpus = 2;
	for_each_cpu (c) {
		c->id = (u32)(c - cpus);
		c->hwid = c->id;
		c->state = CPU_GUEST;
		c->arch = &arch[c->id];
	}
	mapped = runs = true;
	newkernel_entry(self, ENTRY);
	asked = stopped = dropped = events = nmis = 0;
	return 0;
}

static void assert_untouched(void)
{
	assert_int_equal(events, 0);
	assert_int_equal(self->arch->entry_va, ENTRY);
}

static void test_same_kernel(void **state)
{
	(void)state;
	self->arch->kick = 1;
	assert_int_equal(nmi_exit(self), EXIT_KICK);
	assert_int_equal(asked, 1);
	assert_untouched();
}

static void test_replaced(void **state)
{
	(void)state;
	mapped = false;
	self->arch->kick = 1;
	assert_int_equal(nmi_exit(self), EXIT_KICK);
	assert_int_equal(stopped, 1);
	assert_int_equal(dropped, 2);
	/* once is enough */
	self->arch->kick = 1;
	assert_int_equal(nmi_exit(self), EXIT_KICK);
	assert_int_equal(events, 2);
}

/* It was halted by the old kernel, whose tables are gone: another CPU runs the new one. */
static void test_left_behind(void **state)
{
	(void)state;
	mapped = runs = false;
	self->arch->kick = 1;
	assert_int_equal(nmi_exit(self), EXIT_KICK);
	assert_untouched();
	assert_int_equal(self->arch->stopped, 1);
}

/* The kick is that of the CPU that runs the new kernel and stops the others. */
static void test_told_to_stop(void **state)
{
	(void)state;
	mapped = false;
	self->arch->stopped = 1;
	self->arch->kick = 1;
	assert_int_equal(nmi_exit(self), EXIT_KICK);
	assert_untouched();
}

/* Programs run on tables that may have next to nothing of the kernel. */
static void test_user_mode(void **state)
{
	(void)state;
	mapped = false;
	self->arch->vcpu.cpl = 3;
	self->arch->kick = 1;
	assert_int_equal(nmi_exit(self), EXIT_KICK);
	assert_untouched();
}

/* The CPU that carries out a write to a shadowed page has paused the guest itself. */
static void test_in_a_step(void **state)
{
	(void)state;
	mapped = false;
	self->arch->step = STEP_WRITE;
	self->arch->kick = 1;
	assert_int_equal(nmi_exit(self), EXIT_KICK);
	assert_untouched();
}

static void test_nmi_from_outside(void **state)
{
	(void)state;
	mapped = false;
	assert_int_equal(nmi_exit(self), EXIT_OTHER);
	assert_true(self->arch->nmi_pending);
	assert_untouched();
}

static void test_kicks(void **state)
{
	static const u32 out[] = {CPU_ABSENT, CPU_PARKED, CPU_SERVICE};
	struct cpu *other = &cpus[1];

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(out); i++) {
		other->state = out[i];
		arch_kick(other);
		assert_int_equal(nmis, 0);
		assert_int_equal(other->arch->kick, 0);
	}
	other->state = CPU_GUEST;
	arch_kick(other);
	arch_kick(other);
	assert_int_equal(nmis, 1);
	/* it is taken by the monitor: still the kick of whoever ends the guest's turn next */
	nmi_in_monitor(other);
	assert_int_equal(other->arch->kick, 1);
	/* unless this CPU has left the guest, and waits for it before an INIT may come */
	other->state = CPU_PARKED;
	nmi_in_monitor(other);
	assert_int_equal(other->arch->kick, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
		T(test_same_kernel),	  T(test_replaced),  T(test_left_behind),
		T(test_told_to_stop),	  T(test_user_mode), T(test_in_a_step),
		T(test_nmi_from_outside), T(test_kicks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
