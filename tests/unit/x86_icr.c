/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The filter on the guest's interprocessor interrupts against a model of what the hardware does
 * with the same ICR value: nothing reaches the service CPU, INIT, SIPI and NMI never go to the
 * hardware, and all other CPUs get what the guest has sent.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "lib/string.h"
#include "../../arch/x86/apic.h"
#include "../../arch/x86/hv.h"
#include "../../arch/x86/icr.h"
#include "../../arch/x86/smp.h"

#define CPUS 6
#define RUNS 300000

static struct boot_info info;
static struct arch_cpu arch[CPUS];
static u32 icr2, raw_writes;
static u64 got; /* guest CPUs that the filter served, one bit each */
static u32 got_count;

struct boot_info *machine = &info;

static u64 seed = 88172645463325252ull;

static u32 rnd(u32 limit)
{
	seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
	return (u32)(seed >> 20) % limit;
}

/* ---- what the filter calls ---- */

static void serve(const struct cpu *c)
{
	got |= 1ull << c->id;
	got_count++;
}

void apic_send(u64 hwid, u32 icr)
{
	/* what the guest has set of reserved bits would fault in x2APIC mode */
	assert_int_equal(icr & ~(APIC_MODE(~0u) | APIC_VECTOR(~0u) | APIC_ASSERT), 0);
	assert_true(APIC_MODE(icr) != APIC_NMI && APIC_MODE(icr) != APIC_INIT &&
		    APIC_MODE(icr) != APIC_SIPI);
	for_each_cpu (c)
		if (c->hwid == hwid)
			serve(c);
}

void smp_guest_init(struct cpu *self, struct cpu *c)
{
	(void)self;
	serve(c);
}

void smp_guest_sipi(struct cpu *self, struct cpu *c, u8 vector)
{
	(void)self, (void)vector;
	serve(c);
}

void nmi_send_guest(struct cpu *self, struct cpu *c)
{
	(void)self;
	serve(c);
}

static bool in_memory; /* where the local APIC has its registers */

bool apic_is_x2(void)
{
	return false;
}

bool apic_is_mmio(void)
{
	return in_memory;
}

u32 apic_read(enum apic_register r)
{
	assert_int_equal(r, APIC_ICR2);
	return icr2;
}

void apic_write(enum apic_register r, u32 value)
{
	(void)r, (void)value;
	raw_writes++;
}

/* ---- the model: does this value reach CPU c? (APM vol. 2, 16.5 and 16.6) ---- */

static bool reaches(const struct cpu *self, const struct cpu *c, u32 icr, u32 to, bool x2)
{
	u32 shorthand = icr >> 18 & 3, id = (u32)c->hwid;
	u32 mine = c->arch->ldr >> 24;

	if (shorthand)
		return shorthand == 2 || (shorthand == 1) == (c == self);
	if (to == (x2 ? 0xffffffff : 0xff))
		return true;
	if (!(icr & 1 << 11))
		return id == to;
	if (x2)
		return id >> 4 == to >> 16 && (to & 0xffff) >> (id & 15) & 1;
	if (c->arch->dfr == 0xffffffff)
		return mine & to;
	return mine >> 4 == to >> 4 && (mine & to & 15);
}

static void random_machine(void)
{
	static const u32 states[] = {CPU_GUEST, CPU_GUEST, CPU_HELD, CPU_PARKED, CPU_ABSENT};
	u32 dfr = rnd(2) ? 0xffffffff : 0x0fffffff;

	nr_cpus = CPUS;
	info.service_cpu = 1 + rnd(CPUS - 1);
	for_each_cpu (c) {
		c->id = (u32)(c - cpus);
		c->hwid = c->id * (1 + rnd(2) * 16);
		c->arch = &arch[c->id];
		c->arch->dfr = dfr;
		c->arch->ldr =
			(dfr == 0xffffffff ? 1u << c->id : (c->id / 3) << 4 | 1u << c->id % 3)
			<< 24;
		c->state = states[rnd(5)];
	}
	cpus[info.service_cpu].arch->ldr = 0;
	cpus[info.service_cpu].state = CPU_SERVICE;
}

static void check_one(void)
{
	bool x2 = rnd(2), ours;
	u32 mode = rnd(8) << 8, self_id, to;
	u32 icr = mode | rnd(256) | APIC_ASSERT | rnd(2) << 11 | rnd(4) << 18 | rnd(0x1000) << 20 |
		  rnd(4) << 16;
	struct cpu *self;
	u64 want = 0;

	random_machine();
	do
		self_id = rnd(CPUS);
	while (self_id == info.service_cpu);
	self = &cpus[self_id];
	self->state = CPU_GUEST;
	to = x2 ? (rnd(3) ? rnd(8) << 16 | rnd(256) : rnd(2) ? 0xffffffff : rnd(100)) : rnd(256);
	ours = mode == APIC_NMI || mode == APIC_INIT || mode == APIC_SIPI;

	for_each_cpu (c) {
		bool runs = c->state == CPU_GUEST || c->state == CPU_HELD;

		if ((ours || mode == APIC_FIXED || mode == APIC_LOWEST) &&
		    c->id != info.service_cpu && reaches(self, c, icr, to, x2) &&
		    (runs || mode == APIC_INIT || mode == APIC_SIPI))
			want |= 1ull << c->id;
	}
	got = got_count = 0;
	if (icr_filter(self, icr, to, x2)) {
		/* To the hardware as it is: must be harmless. */
		assert_false(ours);
		assert_true(mode == APIC_FIXED || mode == APIC_LOWEST);
		assert_false(reaches(self, &cpus[info.service_cpu], icr, to, x2));
		assert_int_equal(got, 0);
		return;
	}
	if (mode == APIC_LOWEST && want) {
		assert_int_equal(got_count, 1);
		assert_true(got & want);
		return;
	}
	assert_int_equal(got, want);
}

static void test_filter(void **state)
{
	(void)state;
	for (u32 i = 0; i < RUNS; i++)
		check_one();
}

static void test_deassert(void **state)
{
	(void)state;
	random_machine();
	got = 0;
	assert_false(icr_filter(&cpus[0], APIC_INIT | APIC_LEVEL | APIC_TO_OTHERS, 0, false));
	assert_int_equal(got, 0);
}

static void test_registers(void **state)
{
	struct cpu *self = &cpus[0];

	(void)state;
	random_machine();
	raw_writes = 0;
	in_memory = true;
	apic_guest_write(self, APIC_ID, 0x55000000);
	assert_int_equal(raw_writes, 0);
	apic_guest_write(self, APIC_LDR, 0x04000000);
	assert_int_equal(self->arch->ldr, 0x04000000);
	apic_guest_write(self, APIC_EOI, 0);
	assert_int_equal(raw_writes, 2);
	/* the ICR's destination is what was written to its upper half before */
	icr2 = (u32)cpus[info.service_cpu].hwid << 24;
	apic_guest_write(self, APIC_ICR, APIC_FIXED | APIC_ASSERT | 0x40);
	assert_int_equal(raw_writes, 2);
	icr2 = 0x77000000;
	apic_guest_write(self, APIC_ICR, APIC_FIXED | APIC_ASSERT | 0x40);
	assert_int_equal(raw_writes, 3);
	/* reserved addresses */
	for (u32 offset = 0; offset < PAGE_SIZE; offset += 4)
		if (offset < 0x20 || offset % 16)
			apic_guest_write(self, offset, 0x400);
	assert_int_equal(raw_writes, 3);
	/* off, or in x2APIC mode */
	in_memory = false;
	apic_guest_write(self, APIC_EOI, 0);
	apic_guest_write(self, 0x310, 0);
	assert_int_equal(raw_writes, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_filter),
		cmocka_unit_test(test_deassert),
		cmocka_unit_test(test_registers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
