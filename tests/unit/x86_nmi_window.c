/* SPDX-License-Identifier: BSD-2-Clause */
/* NMIs that the monitor's handler takes, and the window for a guest's NMI. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "arch/cpu.h"
#include "arch/time.h"
#include "arch/upcalls.h"
#include "lib/string.h"
#include "../../arch/x86/apic.h"
#include "../../arch/x86/hv.h"

static struct arch_cpu arch;
static struct cpu *self = &cpus[0];
static bool window; /* the guest can take an NMI */
static u32 windows, forced;

/* ---- what the code under test calls ---- */

static bool fake_window(struct cpu *c)
{
	assert_ptr_equal(c, self);
	windows++;
	return window;
}

static void fake_force_exit(struct cpu *c)
{
	assert_ptr_equal(c, self);
	forced++;
}

static struct hv_ops ops = {.nmi_window = fake_window};
const struct hv_ops *hv = &ops;

void kexec_kicked(struct cpu *c)
{
	assert_ptr_equal(c, self);
}

size_t vcpu_fetch(struct cpu *c, s64 offset, u8 *buf, size_t len)
{
	(void)c, (void)offset, (void)buf, (void)len;
	return 0;
}

void apic_send(u64 hwid, u32 icr)
{
	(void)hwid, (void)icr;
}

u64 arch_time_us(void)
{
	return 1000;
}

static int setup(void **state)
{
	(void)state;
	memset(&arch, 0, sizeof(arch));
	self->arch = &arch;
	self->state = CPU_GUEST;
	self->exits[EXIT_NMI] = 0;
	nr_cpus = 1;
	window = true;
	windows = forced = 0;
	ops.force_exit = NULL;
	return 0;
}

/* ---- the tests ---- */

/* Where NMIs do not wait for the entry, the one that the monitor's handler takes is made up for. */
static void test_nmi_in_the_monitor(void **state)
{
	(void)state;
	self->arch->kick = 1;
	nmi_in_monitor(self);
	assert_int_equal(forced, 0); /* it waits */
	ops.force_exit = fake_force_exit;
	nmi_in_monitor(self);
	assert_int_equal(forced, 1);
	assert_int_equal(nmi_exit(self), EXIT_KICK);
	/* who has left, or is not the guest's, is not to enter */
	self->state = CPU_PARKED;
	nmi_in_monitor(self);
	self->state = CPU_SERVICE;
	nmi_in_monitor(self);
	assert_int_equal(forced, 1);
}

/* An NMI is injected once the guest can take it, and the vendor is asked for nothing before. */
static void test_nmi_window(void **state)
{
	struct arch_cpu *a = self->arch;

	(void)state;
	nmi_deliver(self);
	assert_int_equal(windows, 0);
	nmi_send_guest(self, self);
	window = false;
	nmi_deliver(self);
	nmi_deliver(self);
	assert_int_equal(windows, 2);
	assert_int_equal(a->vcpu.event, 0);
	assert_true(a->nmi_pending);
	window = true;
	a->step = STEP_VENDOR;
	nmi_deliver(self);
	assert_int_equal(windows, 2);
	a->step = STEP_NONE;
	nmi_deliver(self);
	assert_int_equal(a->vcpu.event, EVENT_VALID | EVENT_NMI | 2);
	assert_false(a->nmi_pending);
	assert_int_equal(self->exits[EXIT_NMI], 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {T(test_nmi_in_the_monitor), T(test_nmi_window)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
