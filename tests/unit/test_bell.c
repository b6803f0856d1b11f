/* SPDX-License-Identifier: BSD-2-Clause */
/* When the agent is rung, and when not. */
#include "fake.h"
#include "arch/cpu.h"
#include "arch/upcalls.h"
#include "core/cpu.h"
#include "guest/bell.h"
#include "guest/drop.h"
#include "guest/mem.h"
#include "guest/panic.h"
#include "lib/errno.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>
#include <suture/abi.h>

#define AGAIN 100000

static ipa_t words;

static u64 word_ipa(u32 cpu)
{
	return words.v + cpu * sizeof(u32);
}

static u32 *word(u32 cpu)
{
	return arch_ptr(PA(word_ipa(cpu)));
}

/* CPU 0 is the monitor's; 1 to 3 run the guest, and are open. */
static int setup(void **state)
{
	const struct guest_ram ram = {FAKE_RAM_BASE, FAKE_GUEST_RAM_SIZE};
	int r;

	(void)state;
	fake_reset(3);
	fake_bell_line(0);
	r = guest_mem_init(&ram, 1, 0, 0);
	words = fake_guest_alloc(PAGE_SIZE);
	guest_bell_close();
	for (u32 i = 1; i <= 3; i++) {
		cpus[i].state = CPU_GUEST;
		r |= (int)guest_bell_open(&cpus[i], word_ipa(i));
	}
	return r;
}

/* The CPU that is asked to ring; 0: none. */
static u32 due(void)
{
	u32 found = 0;

	for_each_cpu (c)
		if (guest_bell_due(c)) {
			assert_int_equal(found, 0);
			found = c->id;
		}
	return found;
}

/* That CPU is about to enter the guest. */
static u32 deliver(void)
{
	u32 cpu = due();

	assert_int_not_equal(cpu, 0);
	assert_int_equal(*word(cpu), 0);
	assert_true(guest_bell_deliver(&cpus[cpu]));
	assert_int_equal(*word(cpu), 1);
	assert_false(guest_bell_due(&cpus[cpu]));
	return cpu;
}

static void once_for_each_arm(void **state)
{
	(void)state;
	/* never without the agent's request */
	assert_true(guest_bell_tick(true, 1) == UINT64_MAX);
	assert_int_equal(due(), 0);
	assert_true(guest_bell_arm());
	assert_true(guest_bell_tick(false, 2) == UINT64_MAX);
	assert_int_equal(due(), 0);
	assert_true(guest_bell_tick(true, 3) == 3 + AGAIN);
	assert_true(fake_kicks(&cpus[due()]) == 1);
	*word(deliver()) = 0;
	/* the agent has claimed it, and asks */
	guest_bell_withdraw();
	assert_true(guest_bell_tick(true, 4) == UINT64_MAX);
	assert_int_equal(due(), 0);
	assert_true(guest_bell_arm());
	guest_bell_tick(true, 5);
	deliver();
}

static void not_twice_delivered(void **state)
{
	(void)state;
	guest_bell_arm();
	guest_bell_tick(true, 1);
	assert_false(guest_bell_deliver(&cpus[deliver()]));
}

/* The agent asks by itself before the CPU has come to the place where it would be interrupted. */
static void withdrawn(void **state)
{
	u32 cpu;

	(void)state;
	guest_bell_arm();
	guest_bell_tick(true, 1);
	cpu = due();
	guest_bell_withdraw();
	assert_int_equal(due(), 0);
	assert_false(guest_bell_deliver(&cpus[cpu]));
	assert_int_equal(*word(cpu), 0);
}

static void again_on_another_cpu_and_not_for_ever(void **state)
{
	u64 now = 10, next;
	u32 rings = 0, last = 0;

	(void)state;
	guest_bell_arm();
	while ((next = guest_bell_tick(true, now)) != UINT64_MAX) {
		u32 cpu = deliver();

		assert_int_not_equal(cpu, last);
		assert_true(next == now + AGAIN);
		*word(cpu) = 0;
		last = cpu;
		/* not before its time */
		if (++rings < 5)
			assert_true(guest_bell_tick(true, next - 1) == next);
		assert_int_equal(due(), 0);
		now = next;
	}
	assert_int_equal(rings, 5);
}

/* It would find nothing to claim when it handles the second one. */
static void not_before_it_has_claimed(void **state)
{
	u64 now = 10;

	(void)state;
	guest_bell_arm();
	for (u32 i = 0; i < 3; i++)
		now = guest_bell_tick(true, now), deliver();
	assert_true(guest_bell_tick(true, now) == now + 1000);
	assert_int_equal(due(), 0);
	*word(2) = 0;
	guest_bell_tick(true, now);
	assert_int_equal(due(), 2);
}

static void never_while_held(void **state)
{
	static const u32 out[] = {CPU_ABSENT, CPU_PARKED, CPU_HELD, CPU_DEAD};

	(void)state;
	guest_bell_arm();
	for (u32 i = 0; i < ARRAY_SIZE(out); i++) {
		for (u32 n = 1; n <= 3; n++)
			cpus[n].state = out[i];
		assert_true(guest_bell_tick(true, 10) == 1010);
		assert_int_equal(due(), 0);
	}
	cpus[3].state = CPU_GUEST;
	guest_bell_tick(true, 20);
	assert_int_equal(deliver(), 3);
}

static void closed(u64 now)
{
	assert_false(guest_bell_arm());
	assert_true(guest_bell_tick(true, now) == UINT64_MAX);
	assert_int_equal(due(), 0);
}

/* A ring that is on its way at that moment does not arrive either. */
static u32 ring_on_its_way(void)
{
	assert_int_equal(setup(NULL), 0);
	assert_true(guest_bell_arm());
	guest_bell_tick(true, 1);
	return due();
}

static void does_not_arrive(u32 cpu)
{
	assert_false(guest_bell_deliver(&cpus[cpu]));
	assert_int_equal(*word(cpu), 0);
}

static void never_when_the_kernel_ends(void **state)
{
	u32 cpu = ring_on_its_way();

	(void)state;
	for (u32 i = 1; i <= 3; i++)
		cpus[i].state = CPU_PARKED; /* no thread of theirs would take part in a pause */
	drop_all(KERNEL_SHUTS_DOWN);
	does_not_arrive(cpu);
	closed(2);

	cpu = ring_on_its_way();
	panic_told(0, 0);
	does_not_arrive(cpu);
	closed(2);

	/* one CPU leaves the kernel, without a word of the agent */
	cpu = ring_on_its_way();
	guest_bell_forget(&cpus[cpu]);
	does_not_arrive(cpu);
	cpu = ring_on_its_way();
	kexec_cpu_started(&cpus[cpu]);
	does_not_arrive(cpu);
}

static void a_cpu_closes_its_own(void **state)
{
	u32 cpu;

	(void)state;
	guest_bell_arm();
	guest_bell_tick(true, 1);
	cpu = due();
	assert_int_equal(guest_bell_open(&cpus[cpu], 0), 0);
	does_not_arrive(cpu);
	for (u32 i = 1; i <= 3; i++) {
		assert_int_equal(guest_bell_open(&cpus[i], 0), 0);
		assert_true(guest_bell_arm() == (i < 3));
	}
	closed(2);
}

static void bad_words(void **state)
{
	(void)state;
	assert_int_equal(guest_bell_open(&cpus[1], word_ipa(1) + 2), -EINVAL);
	assert_int_equal(guest_bell_open(&cpus[2], FAKE_POOL_BASE), -EFAULT);
	assert_int_equal(guest_bell_open(&cpus[3], ~3ull), -EFAULT);
	/* what they had before is gone */
	closed(1);
}

/* The machine has one doorbell; its CPUs' are closed. */
static void line_setup(void)
{
	guest_bell_close();
	fake_bell_line(287);
	assert_int_equal(guest_bell_open_line(1), 0);
}

static void a_line(void **state)
{
	u64 now = 10, next;
	u32 rings = 0;

	(void)state;
	assert_int_equal(guest_bell_open_line(1), -EOPNOTSUPP);
	line_setup();
	assert_true(guest_bell_tick(true, now) == UINT64_MAX);
	assert_false(fake_bell_pending());
	assert_true(guest_bell_arm());
	assert_true(guest_bell_tick(false, now) == UINT64_MAX);
	assert_false(fake_bell_pending());
	/* whatever its CPUs do */
	for (u32 i = 1; i <= 3; i++)
		cpus[i].state = CPU_HELD;
	while ((next = guest_bell_tick(true, now)) != UINT64_MAX) {
		assert_true(fake_bell_pending());
		assert_int_equal(due(), 0);
		assert_true(next == now + AGAIN);
		now = next;
		rings++;
	}
	assert_int_equal(rings, 5);
}

static void a_line_is_withdrawn(void **state)
{
	(void)state;
	line_setup();
	guest_bell_arm();
	guest_bell_tick(true, 1);
	assert_true(fake_bell_pending());
	guest_bell_withdraw();
	assert_false(fake_bell_pending());
	assert_true(guest_bell_tick(true, 2) == UINT64_MAX);
}

static void line_is_closed(void)
{
	assert_false(guest_bell_arm());
	assert_true(guest_bell_tick(true, 3) == UINT64_MAX);
	assert_false(fake_bell_pending());
}

static void a_line_is_closed(void **state)
{
	(void)state;
	line_setup();
	/* a CPU that starts ends nothing */
	kexec_cpu_started(&cpus[1]);
	assert_true(guest_bell_arm());
	assert_int_equal(guest_bell_open_line(0), 0);
	line_is_closed();
	line_setup();
	guest_bell_arm();
	panic_told(0, 0);
	line_is_closed();
}

static void heartbeat(void **state)
{
	(void)state;
	guest_heartbeat_set(0);
	assert_false(guest_heartbeat());
	assert_true(guest_heartbeat_due(7) == UINT64_MAX);
	*word(9) = 77;
	guest_heartbeat_set(word_ipa(9));
	assert_false(guest_heartbeat());
	assert_true(guest_heartbeat_due(7) == 1000007);
	++*word(9);
	assert_true(guest_heartbeat());
	assert_false(guest_heartbeat());
	guest_heartbeat_set(FAKE_POOL_BASE);
	assert_false(guest_heartbeat());
}

/* True if the monitor has written the word behind the agent's, and nothing else of its memory. */
static bool is_answered(void)
{
	u32 before[] = {++*word(9), *word(10), *word(11)};

	guest_heartbeat();
	assert_int_equal(*word(9), before[0]);
	assert_int_equal(*word(11), before[2]);
	return *word(10) != before[1];
}

/* Only while the agent sleeps and can be woken: after that its memory may be another kernel's. */
static void heartbeat_is_answered(void **state)
{
	(void)state;
	guest_heartbeat_set(word_ipa(9));
	assert_false(is_answered());
	guest_bell_arm();
	assert_true(is_answered());
	guest_bell_close();
	assert_false(is_answered());
	guest_bell_arm(); /* nothing is open */
	assert_false(is_answered());

	assert_int_equal(guest_bell_open(&cpus[1], word_ipa(1)), 0);
	guest_bell_arm();
	assert_true(is_answered());
	guest_bell_forget(&cpus[1]);
	assert_false(is_answered());

	line_setup();
	guest_heartbeat_set(word_ipa(9));
	guest_bell_arm();
	assert_true(is_answered());
	guest_bell_open_line(0);
	assert_false(is_answered());
}

/* The doorbell is open as long as nothing tells that the agent's kernel was replaced. */
static void no_beat_is_not_answered(void **state)
{
	u32 answer;

	(void)state;
	guest_heartbeat_set(word_ipa(9));
	assert_int_equal(guest_bell_open(&cpus[1], word_ipa(1)), 0);
	guest_bell_arm();
	assert_true(is_answered());
	answer = *word(10);
	for (u32 i = 0; i < 100; i++)
		assert_false(guest_heartbeat());
	assert_int_equal(*word(10), answer);
	*word(9) = 0xffff8000; /* another kernel's memory */
	assert_false(guest_heartbeat());
	assert_int_equal(*word(10), answer);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
		T(once_for_each_arm),
		T(not_twice_delivered),
		T(withdrawn),
		T(again_on_another_cpu_and_not_for_ever),
		T(not_before_it_has_claimed),
		T(never_while_held),
		T(never_when_the_kernel_ends),
		T(a_cpu_closes_its_own),
		T(bad_words),
		T(a_line),
		T(a_line_is_withdrawn),
		T(a_line_is_closed),
		T(heartbeat),
		T(heartbeat_is_answered),
		T(no_beat_is_not_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
