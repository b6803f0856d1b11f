/* SPDX-License-Identifier: BSD-2-Clause */
/* The service CPU begins anew: its pause, its redirects, and a switch that its records lack. */
#include "switch_rig.h"
#include "agent/mailbox.h"
#include "arch/upcalls.h"
#include "core/checkpoint.h"
#include "core/heartbeat.h"
#include "core/lock.h"
#include "patch/engine/engine.h"
#include "patch/switch/redo.h"
#include <pthread.h>
#include <unistd.h>

static int begin(void **state)
{
	int err = setup(state);

	checkpoint_forget();
	assert_int_equal(switch_keep(), 0);
	switch_settled();
	checkpoint_take();
	return err;
}

static void begin_anew(void)
{
	cpu_this()->life++;
	pause_restart(cpu_this());
	pool_restart();
	assert_int_equal(checkpoint_restore(), 0);
	assert_int_equal(shadow_restart(), 0);
	check_restart();
	switch_restart();
}

static void redirect(u64 active, u64 new)
{
	set.count = 0;
	add_func("a", A, active, new);
}

static void the_redirects_stay(void **state)
{
	u64 used;

	(void)state;
	redirect(A, NEW_A);
	assert_done();
	checkpoint_take();
	used = pool_used();
	assert_non_null(pool_alloc(3));
	begin_anew();
	assert_false(switch_is_behind());
	assert_int_equal(pool_used(), used);
	assert_int_equal(redirects(), 1);
	assert_int_equal(target(A), NEW_A);
	redirect(NEW_A, 0);
	assert_done();
	assert_int_equal(target(A), A);
}

/* The switch was made, and its record is lost: it is done already, whoever is in the old code. */
static void a_lost_switch_is_taken_up(void **state)
{
	(void)state;
	redirect(A, NEW_A);
	assert_done();
	begin_anew();
	assert_true(switch_is_behind());
	syn_set(syn_stack_end(sleeper) - 32, A + SIZE);
	assert_done();
	assert_int_equal(redirects(), 1);
	switch_settled();
	/* from here on the records count again */
	redirect(A, NEW_A);
	assert_fails(-EEXIST, "a is redirected already");
}

/* Of two lost ones the first does not find what it wants. */
static void two_lost_switches(void **state)
{
	(void)state;
	redirect(A, NEW_A);
	assert_done();
	redirect(NEW_A, NEW_2);
	assert_done();
	begin_anew();
	redirect(A, NEW_A);
	assert_done();
	assert_int_equal(target(A), NEW_A);
	redirect(NEW_A, NEW_2);
	assert_done();
	assert_int_equal(target(A), NEW_2);
	assert_int_equal(redirects(), 1);
}

/* What was not committed is as if it had not been begun. */
static void a_plan_is_forgotten(void **state)
{
	u64 used = pool_used();

	(void)state;
	assert_non_null(shadow_plan_begin());
	begin_anew();
	assert_int_equal(pool_used(), used);
	redirect(A, NEW_A);
	assert_done();
}

static u32 finished;

static void finish(void *arg)
{
	(void)arg;
	finished++;
}

static void end_in_a_pause(bool committed)
{
	struct pause p;

	finished = 0;
	assert_int_equal(pause_begin(&p, BUDGET_US), 0);
	if (committed)
		assert_int_equal(pause_commit(&p, finish, NULL), 0);
	begin_anew();
	assert_int_equal(finished, committed);
	/* the guest goes on, and can be paused again */
	assert_int_equal(pause_begin(&p, BUDGET_US), 0);
	pause_end(&p);
}

static void the_pause_is_ended(void **state)
{
	(void)state;
	end_in_a_pause(false);
	end_in_a_pause(true);
}

/* ---- the agent's message ---- */

static jmp_buf end_of_life;
static bool ends;
static u64 variable;

static u64 now_us(void *ctx)
{
	(void)ctx;
	if (ends)
		longjmp(end_of_life, 1);
	return 0;
}

static void *alloc(void *ctx, size_t size)
{
	(void)ctx;
	return checkpoint_alloc(ALIGN_UP(size, PAGE_SIZE) / PAGE_SIZE);
}

static struct engine *make_engine(void)
{
	static const struct engine_ops ops = {.now_us = now_us, .alloc = alloc};
	static const struct engine_config config;
	struct engine *e;

	checkpoint_forget();
	assert_int_equal(mailbox_init(), 0);
	pool_keep_all();
	assert_int_equal(switch_keep(), 0);
	assert_int_equal(mailbox_keep(), 0);
	e = engine_create(&ops, &config);
	engine_agent_hello(e);
	assert_int_equal(checkpoint_static(&variable, sizeof(variable)), 0);
	return e;
}

static void post(u32 seq)
{
	struct suture_msg *m = syn_at(sleeper);

	*m = (struct suture_msg){.type = SUTURE_MSG_POLL, .size = sizeof(*m), .seq = seq};
	assert_int_equal(mailbox_post(arch_pa(m).v, sizeof(*m)), 0);
}

static s64 reply(u32 seq)
{
	static struct suture_work *work;

	work = syn_at(sleeper);
	assert_true(mailbox_reply(arch_pa(work).v, PAGE_SIZE) > 0);
	assert_int_equal(work->msg.seq, seq);
	return work->msg.status;
}

/* The answer is not given before the records are safe. */
static void an_answer_is_kept(void **state)
{
	struct engine *e = make_engine();

	(void)state;
	variable = 1;
	checkpoint_take();
	variable = 2;
	post(1);
	assert_true(mailbox_serve(e));
	begin_anew();
	assert_false(mailbox_restart());
	assert_int_equal(variable, 2);
	assert_int_equal(reply(1), 0);
}

static bool serve_and_die(struct engine *e)
{
	ends = true;
	if (!setjmp(end_of_life))
		mailbox_serve(e);
	ends = false;
	begin_anew();
	return true;
}

static void a_message_is_served_again(void **state)
{
	struct engine *e = make_engine();

	(void)state;
	checkpoint_take();
	for (u32 i = 0; i < 3; i++) {
		/* the first message ends one life, the second one two, the third none */
		post(i);
		if (i < 2 && serve_and_die(e))
			assert_true(mailbox_restart());
		if (i == 1 && serve_and_die(e))
			assert_false(mailbox_restart());
		else
			mailbox_serve(e);
		assert_int_equal(reply(i), i == 1 ? -EIO : 0);
	}
}

/* ---- the sign of life ---- */

#define LATE 1000001u

static void look_at(u64 us)
{
	fake_time_set(us, 0);
	service_look(&cpus[1]);
}

static void a_sign_of_life_is_missed(void **state)
{
	(void)state;
	fake_guest_stop();
	fake_time_set(0, 0);
	heartbeat();
	look_at(900000);
	assert_int_equal(fake_service_resets(), 0);
	look_at(LATE);
	/* it has as long to begin as it had to show itself */
	look_at(LATE + 900000);
	assert_int_equal(fake_service_resets(), 1);
	look_at(2 * LATE + 1);
	assert_int_equal(fake_service_resets(), 2);
	heartbeat(); /* it is back, and fails again */
	look_at(3 * LATE);
	assert_int_equal(fake_service_resets(), 2);
	look_at(4 * LATE);
	assert_int_equal(fake_service_resets(), 3);
	heartbeat_end();
	look_at(9 * LATE);
	assert_int_equal(fake_service_resets(), 3);
}

/* A CPU that stays off for good says so from the reset on: nobody looks at it again. */
static void end_of_service(void)
{
	heartbeat_end();
}

static void what_ends_for_good_is_left_alone(void **state)
{
	(void)state;
	fake_guest_stop();
	fake_on_service_reset(end_of_service);
	fake_time_set(0, 0);
	heartbeat();
	look_at(LATE);
	look_at(9 * LATE);
	assert_int_equal(fake_service_resets(), 1);
}

static void begin_next_life(void)
{
	__atomic_store_n(&cpus[0].life, cpus[0].life + 1, __ATOMIC_RELEASE);
}

/* The service CPU comes back after some seconds in any case, so that a lock that looks after nobody
 * fails the test and does not hang it. */
static void *come_back_late(void *unused)
{
	(void)unused;
	for (u32 i = 0; i < 3000 && !fake_service_resets(); i++)
		usleep(1000);
	if (!fake_service_resets())
		begin_next_life();
	return NULL;
}

/* It is lost with a lock held, which the guest's last CPU wants. */
static void who_waits_for_a_lock_looks(void **state)
{
	static struct spinlock lock;
	pthread_t thread;

	(void)state;
	fake_guest_stop();
	fake_on_service_reset(begin_next_life);
	fake_time_set(0, 0);
	heartbeat();
	spin_lock(&lock);
	fake_become(&cpus[1]);
	fake_time_set(LATE, 1000);
	assert_int_equal(pthread_create(&thread, NULL, come_back_late, NULL), 0);
	spin_lock(&lock);
	pthread_join(thread, NULL);
	assert_int_equal(fake_service_resets(), 1);
	spin_unlock(&lock);
	fake_become(&cpus[0]);
	heartbeat_end();
}

/* The guest waits for its pause as long as it was asked for. */
static void a_long_pause_is_no_failure(void **state)
{
	struct pause p;

	(void)state;
	fake_guest_stop();
	fake_time_set(0, 0);
	heartbeat();
	assert_int_equal(pause_begin(&p, 5000000), 0);
	look_at(4 * LATE);
	assert_int_equal(fake_service_resets(), 0);
	look_at(5200000);
	assert_int_equal(fake_service_resets(), 0);
	look_at(5400000);
	assert_int_equal(fake_service_resets(), 1);
	pause_end(&p);
	heartbeat_end();
}

#define UNIT(test) cmocka_unit_test_setup_teardown(test, begin, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		UNIT(the_redirects_stay),
		UNIT(a_lost_switch_is_taken_up),
		UNIT(two_lost_switches),
		UNIT(a_plan_is_forgotten),
		UNIT(the_pause_is_ended),
		UNIT(a_sign_of_life_is_missed),
		UNIT(what_ends_for_good_is_left_alone),
		UNIT(a_long_pause_is_no_failure),
		UNIT(an_answer_is_kept),
		UNIT(a_message_is_served_again),
		UNIT(who_waits_for_a_lock_looks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
