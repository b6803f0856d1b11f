/* SPDX-License-Identifier: BSD-2-Clause */
/* The source of an NMI, and the effect of a kick. */
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
#include "../../arch/x86/insn.h"

static struct arch_cpu arch[2];
static struct cpu *self = &cpus[0];
static bool window(struct cpu *c);
static const struct hv_ops ops = {.nmi_window = window};
const struct hv_ops *hv = &ops;

static u32 asked; /* whether the kernel has been replaced */
static u32 nmis;
static bool in_handler; /* the guest can take no NMI */
static u32 rings;	/* that were asked for */
static bool withdrawn;	/* at the last moment */

/* ---- what the code under test calls ---- */

size_t vcpu_fetch(struct cpu *c, s64 offset, u8 *buf, size_t len)
{
	(void)c, (void)offset;
	memset(buf, 0, len);
	return len;
}

void kexec_kicked(struct cpu *c)
{
	assert_ptr_equal(c, self);
	asked++;
}

static bool window(struct cpu *c)
{
	assert_ptr_equal(c, self);
	return !in_handler;
}

bool guest_bell_due(const struct cpu *c)
{
	assert_ptr_equal(c, self);
	return rings;
}

bool guest_bell_deliver(const struct cpu *c)
{
	bool rung = rings && !withdrawn;

	assert_ptr_equal(c, self);
	assert_false(in_handler);
	rings = 0;
	return rung;
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
	asked = nmis = rings = 0;
	in_handler = withdrawn = false;
	return 0;
}

static void test_kick(void **state)
{
	(void)state;
	self->arch->kick = 1;
	assert_int_equal(nmi_exit(self), EXIT_KICK);
	assert_int_equal(asked, 1);
}

/* The CPU that carries out a write to a shadowed page has paused the guest itself. */
static void test_in_a_step(void **state)
{
	(void)state;
	self->arch->step = STEP_SHADOWED;
	self->arch->kick = 1;
	assert_int_equal(nmi_exit(self), EXIT_KICK);
	assert_int_equal(asked, 0);
}

static void test_nmi_from_outside(void **state)
{
	(void)state;
	assert_int_equal(nmi_exit(self), EXIT_OTHER);
	assert_true(self->arch->nmi_pending);
	assert_int_equal(asked, 0);
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
	/* the monitor's handler takes it: the next NMI exit still counts as the kick */
	nmi_in_monitor(other);
	assert_int_equal(other->arch->kick, 1);
	/* unless this CPU has left the guest, and waits for it before an INIT may come */
	other->state = CPU_PARKED;
	nmi_in_monitor(other);
	assert_int_equal(other->arch->kick, 0);
}

/* Inject what is pending. Was it an NMI? */
static bool injected(void)
{
	bool nmi;

	nmi_deliver(self);
	nmi = self->arch->vcpu.event == (VEC_NMI | EVENT_NMI | EVENT_VALID);
	self->arch->vcpu.event = 0;
	return nmi;
}

static void test_ring(void **state)
{
	(void)state;
	assert_false(injected());
	rings = 1;
	assert_true(injected());
	assert_false(injected());
	/* an NMI of the guest's comes with it: they merge */
	nmi_send_guest(self, self);
	rings = 1;
	assert_true(injected());
	assert_int_equal(rings, 0);
	assert_false(injected());
}

/* While the guest handles an NMI the ring is not delivered: it can still be withdrawn. */
static void test_ring_in_an_nmi(void **state)
{
	(void)state;
	in_handler = true;
	rings = 1;
	assert_false(injected());
	assert_int_equal(rings, 1);
	in_handler = false;
	assert_true(injected());
	self->arch->step = STEP_SHADOWED;
	rings = 1;
	assert_false(injected());
	assert_int_equal(rings, 1);
}

static void test_ring_withdrawn(void **state)
{
	(void)state;
	rings = 1;
	withdrawn = true;
	assert_false(injected());
	/* the guest's own NMI does not go with it */
	rings = 1;
	nmi_send_guest(self, self);
	assert_true(injected());
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
		T(test_kick), T(test_in_a_step),      T(test_nmi_from_outside), T(test_kicks),
		T(test_ring), T(test_ring_in_an_nmi), T(test_ring_withdrawn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
