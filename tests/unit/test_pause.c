/* SPDX-License-Identifier: BSD-2-Clause */
/* The pause protocol with real threads as guest CPUs. */
#include "fake.h"
#include "arch/barrier.h"
#include "arch/upcalls.h"
#include "core/pause.h"
#include "lib/errno.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>

#define GUEST_CPUS 4
#define LONG_US	   5000000 /* a deadline that only a hang reaches */
#define SHORT_US   200000  /* one to wait for */

static u64 work[MAX_CPUS];

static void guest_works(struct cpu *c)
{
	WRITE_ONCE(work[c->id], work[c->id] + 1);
}

static int setup(void **state)
{
	(void)state;
	fake_reset(GUEST_CPUS);
	for (u32 i = 0; i < MAX_CPUS; i++)
		work[i] = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake_guest_stop();
	return 0;
}

static u64 total_work(void)
{
	u64 sum = 0;

	for (u32 i = 0; i < MAX_CPUS; i++)
		sum += READ_ONCE(work[i]);
	return sum;
}

/* Until every guest CPU has worked again: an acknowledgement that came late would show. */
static void wait_for_work(void)
{
	for_each_cpu (c) {
		u64 before = READ_ONCE(work[c->id]);

		while (c->state != CPU_SERVICE && READ_ONCE(work[c->id]) == before)
			arch_relax();
	}
}

static void holds_everybody_each_time(void **state)
{
	struct pause_stats s;
	struct pause p;
	u64 flushes = 0, before;

	(void)state;
	fake_guest_start(guest_works);
	for (u32 i = 0; i < 1000; i++) {
		assert_int_equal(pause_begin(&p, LONG_US), 0);
		assert_int_equal(p.cpus_held, GUEST_CPUS);
		before = total_work();
		for (u32 spin = 0; spin < 100; spin++)
			arch_relax();
		assert_int_equal(total_work(), before);
		assert_int_equal(pause_commit(&p, NULL, NULL), 0);
		pause_end(&p);
	}
	wait_for_work();
	for_each_cpu (c)
		if (c->state != CPU_SERVICE)
			flushes += fake_flushes(c);
	pause_stats(&s);
	/* Every CPU flushed after every pause, before it went on. */
	assert_true(flushes >= 1000 * GUEST_CPUS);
	printf("measured 1000 pauses of %d threads, last %llu us, longest %llu us, %llu flushes\n",
	       GUEST_CPUS, (unsigned long long)s.last_us, (unsigned long long)s.max_us,
	       (unsigned long long)flushes);
}

/* A guest CPU that never passes pause_point(). */
static bool stuck;

static void guest_sticks(struct cpu *c)
{
	while (READ_ONCE(stuck) && c->id == 1)
		arch_relax();
	guest_works(c);
}

static void gives_up_on_a_stuck_cpu_and_recovers(void **state)
{
	struct pause p;

	(void)state;
	stuck = true;
	fake_guest_start(guest_sticks);
	assert_int_equal(pause_begin(&p, 20000), -ETIMEDOUT);
	/* Those that came in time were released. */
	while (READ_ONCE(work[2]) < 2 || READ_ONCE(work[3]) < 2)
		arch_relax();
	assert_true(fake_kicks(&cpus[1]) > 1);
	WRITE_ONCE(stuck, false);
	assert_int_equal(pause_begin(&p, LONG_US), 0);
	assert_int_equal(p.cpus_held, GUEST_CPUS);
	pause_end(&p);
}

/* A host that is busy may not run all threads in so short a time. */
static void begin_short(struct pause *p)
{
	int r;

	for (u32 i = 0; i < 50; i++) {
		r = pause_begin(p, SHORT_US);
		if (!r)
			return;
		assert_int_equal(r, -ETIMEDOUT);
	}
	fail_msg("no pause in 50 times %u us", SHORT_US);
}

static void expires_before_the_commit(void **state)
{
	struct pause p;

	(void)state;
	fake_guest_start(guest_works);
	begin_short(&p);
	/* The initiator dawdles: the CPUs go on without it, and it can change nothing any more. */
	wait_for_work();
	assert_int_equal(pause_left_us(&p), 0);
	assert_int_equal(pause_commit(&p, NULL, NULL), -ETIMEDOUT);
	pause_end(&p);
	assert_int_equal(pause_begin(&p, LONG_US), 0);
	pause_end(&p);
}

static u32 finished;

static void finish(void *arg)
{
	__atomic_fetch_add((u32 *)arg, 1, __ATOMIC_RELAXED);
}

static void others_finish_for_a_dead_initiator(void **state)
{
	struct pause p;

	(void)state;
	finished = 0;
	fake_guest_start(guest_works);
	begin_short(&p);
	assert_int_equal(pause_commit(&p, finish, &finished), 0);
	/* No pause_end(): the initiator is gone. The guest goes on, the work done exactly once. */
	wait_for_work();
	assert_int_equal(READ_ONCE(finished), 1);
	pause_end(&p);
}

/* An initiator that dies before the commit, or after it, must not keep all others from pausing. */
static void the_right_of_a_dead_initiator_is_taken(void **state)
{
	struct cpu *dead = &cpus[0];
	struct pause p, q;

	(void)state;
	for (u32 committed = 0; committed < 2; committed++) {
		finished = 0;
		fake_guest_start(guest_works);
		fake_become(dead);
		begin_short(&p);
		if (committed)
			assert_int_equal(pause_commit(&p, finish, &finished), 0);
		wait_for_work();
		fake_guest_stop();
		assert_int_equal(finished, committed);

		/* a guest CPU's drop, say; too early it must wait */
		cpus[1].state = CPU_GUEST;
		fake_become(&cpus[1]);
		assert_int_equal(pause_begin(&q, LONG_US), 0);
		/* the dead one comes back: its pause is over, and it does not end the other's */
		assert_int_equal(pause_commit(&p, finish, &finished), -ETIMEDOUT);
		pause_end(&p);
		assert_int_equal(pause_commit(&q, NULL, NULL), 0);
		assert_int_equal(finished, committed);
		pause_end(&q);
		cpus[1].state = CPU_PARKED;
		fake_become(dead);
	}
}

static bool sleeping, wake_up;

static void halt(struct cpu *c)
{
	(void)c;
	WRITE_ONCE(sleeping, true);
	while (!READ_ONCE(wake_up))
		arch_relax();
	WRITE_ONCE(sleeping, false);
}

static void guest_sleeps(struct cpu *c)
{
	guest_works(c);
	if (c->id == 1)
		pause_sleep(c, halt);
}

/* A CPU that halts is not kicked, and one that wakes in a pause does not reach the guest. */
static void a_pause_does_not_wait_for_an_idle_cpu(void **state)
{
	struct pause p;
	u64 kicks;

	(void)state;
	wake_up = false;
	fake_guest_start(guest_sleeps);
	while (!READ_ONCE(sleeping))
		arch_relax();
	kicks = fake_kicks(&cpus[1]);
	assert_int_equal(pause_begin(&p, LONG_US), 0);
	assert_int_equal(p.cpus_held, GUEST_CPUS);
	assert_true(cpu_is_held(&cpus[1]));
	assert_int_equal(cpus[1].state, CPU_IDLE);
	assert_int_equal(fake_kicks(&cpus[1]), kicks);
	WRITE_ONCE(wake_up, true);
	while (READ_ONCE(cpus[1].state) != CPU_HELD || cpus[1].pause_acked != p.generation)
		assert_true(cpu_is_held(&cpus[1]));
	assert_int_equal(pause_commit(&p, NULL, NULL), 0);
	pause_end(&p);
	wait_for_work();
	assert_true(fake_flushes(&cpus[1]) > 0);
}

/* What the guest's stage 2 was changed to while it slept holds for it as well. */
static void halt_through_a_pause(struct cpu *c)
{
	struct pause p;

	fake_become(&cpus[0]);
	assert_int_equal(pause_begin(&p, LONG_US), 0);
	assert_int_equal(pause_commit(&p, NULL, NULL), 0);
	pause_end(&p);
	fake_become(c);
	assert_int_equal(fake_flushes(c), 0);
}

static void who_slept_through_a_pause_flushes(void **state)
{
	(void)state;
	cpus[1].state = CPU_GUEST;
	fake_become(&cpus[1]);
	pause_sleep(&cpus[1], halt_through_a_pause);
	assert_int_equal(cpus[1].state, CPU_GUEST);
	assert_int_equal(fake_flushes(&cpus[1]), 1);
	cpus[1].state = CPU_PARKED;
	fake_become(&cpus[0]);
}

static u64 pauses_by_guest;

static void guest_pauses(struct cpu *c)
{
	struct pause p;

	guest_works(c);
	if (pause_begin(&p, LONG_US))
		return;
	for_each_cpu (o)
		if (o != c && o->state == CPU_GUEST)
			fail_msg("CPU %u runs in the pause of CPU %u", o->id, c->id);
	pauses_by_guest++; /* only one initiator at a time: needs no atomic */
	pause_end(&p);
}

static void several_initiators(void **state)
{
	struct pause p;
	u64 mine = 0;

	(void)state;
	pauses_by_guest = 0;
	fake_guest_start(guest_pauses);
	for (u32 i = 0; i < 300; i++) {
		if (pause_begin(&p, LONG_US))
			continue;
		assert_int_equal(p.cpus_held, GUEST_CPUS);
		mine++;
		pause_end(&p);
	}
	assert_int_equal(mine, 300);
	while (READ_ONCE(pauses_by_guest) < 300)
		arch_relax();
	printf("measured %llu pauses by guest CPUs while the service CPU made 300\n",
	       (unsigned long long)READ_ONCE(pauses_by_guest));
}

static void parked_cpus_are_not_waited_for(void **state)
{
	struct pause p;

	(void)state;
	assert_int_equal(pause_begin(&p, LONG_US), 0);
	assert_int_equal(p.cpus_held, 0);
	for_each_cpu (c)
		assert_int_equal(fake_kicks(c), 0);
	pause_end(&p);
}

/* One CPU dies while the others run: no pause waits for it, kicks it, or counts it. */
static u32 to_die;

static void guest_dies(struct cpu *c)
{
	if (c->id == READ_ONCE(to_die) && c->state != CPU_DEAD)
		cpu_mark_dead(c, "test", "exit code %#x", 0x7f);
	while (c->state == CPU_DEAD && READ_ONCE(to_die))
		arch_relax();
	guest_works(c);
}

static void dead_cpus_are_not_waited_for(void **state)
{
	struct pause p;
	u64 kicks;

	(void)state;
	to_die = 0;
	fake_guest_start(guest_dies);
	assert_int_equal(pause_begin(&p, LONG_US), 0);
	assert_int_equal(p.cpus_held, GUEST_CPUS);
	pause_end(&p);
	WRITE_ONCE(to_die, 2);
	while (__atomic_load_n(&cpus[2].state, __ATOMIC_ACQUIRE) != CPU_DEAD)
		arch_relax();
	kicks = fake_kicks(&cpus[2]);
	for (u32 i = 0; i < 100; i++) {
		assert_int_equal(pause_begin(&p, LONG_US), 0);
		assert_int_equal(p.cpus_held, GUEST_CPUS - 1);
		assert_int_equal(pause_commit(&p, NULL, NULL), 0);
		pause_end(&p);
	}
	assert_int_equal(fake_kicks(&cpus[2]), kicks);
	assert_string_equal(cpus[2].dead_cause, "test");
	assert_string_equal(cpus[2].dead_why, "exit code 0x7f");
	WRITE_ONCE(to_die, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(who_slept_through_a_pause_flushes, setup, teardown),
		cmocka_unit_test_setup_teardown(holds_everybody_each_time, setup, teardown),
		cmocka_unit_test_setup_teardown(gives_up_on_a_stuck_cpu_and_recovers, setup,
						teardown),
		cmocka_unit_test_setup_teardown(expires_before_the_commit, setup, teardown),
		cmocka_unit_test_setup_teardown(others_finish_for_a_dead_initiator, setup,
						teardown),
		cmocka_unit_test_setup_teardown(the_right_of_a_dead_initiator_is_taken, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_pause_does_not_wait_for_an_idle_cpu, setup,
						teardown),
		cmocka_unit_test_setup_teardown(several_initiators, setup, teardown),
		cmocka_unit_test_setup_teardown(parked_cpus_are_not_waited_for, setup, teardown),
		cmocka_unit_test_setup_teardown(dead_cpus_are_not_waited_for, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
