/* SPDX-License-Identifier: BSD-2-Clause */
/* The agent sleeps while there is nothing for it to do, and is rung when there is. */
#include "net_engine.h"
#include "agent/messages.h"
#include "arch/upcalls.h"
#include "guest/bell.h"
#include "guest/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static ipa_t words;

static int setup(void **state)
{
	const struct guest_ram ram = {FAKE_RAM_BASE, FAKE_GUEST_RAM_SIZE};
	int r;

	(void)state;
	engine_setup();
	r = guest_mem_init(&ram, 1, 0, 0);
	words = fake_guest_alloc(PAGE_SIZE);
	agent_arrives();
	guest_heartbeat_set(words.v);
	cpus[1].state = CPU_GUEST;
	return r | (int)guest_bell_open(&cpus[1], words.v + 8);
}

static _Alignas(8) u8 answer[SUTURE_MSG_MAX];

static const void *say(enum suture_msg_type type)
{
	const struct suture_msg m = {.type = type, .size = sizeof(m)};

	message_answer(engine, &m, (struct suture_msg *)answer);
	return answer;
}

/* One round of the service loop. */
static u64 round_of_service(void)
{
	if (guest_heartbeat())
		engine_agent_lives(engine);
	engine_tick(engine);
	return guest_bell_tick(engine_wants_agent(engine), arch_time_us());
}

static void upload(void)
{
	static _Alignas(8) u8 file[4096];
	size_t size = make_bundle(file, "fix", 100);
	u8 *data = pool_alloc(1);
	char why[REASON_LEN];
	struct bundle b;

	memcpy(data, file, size);
	assert_int_equal(bundle_parse(&b, data, size, why, sizeof(why)), 0);
	assert_int_equal(engine_upload(engine, &b, why, sizeof(why)), 0);
}

static void is_rung_when_there_is_work(void **state)
{
	const struct suture_work *work = say(SUTURE_MSG_POLL);

	(void)state;
	assert_int_equal(work->kind, SUTURE_WORK_NONE);
	assert_int_equal(work->net_ms, 30000);
	assert_true(round_of_service() == UINT64_MAX);
	assert_false(guest_bell_due(&cpus[1]));
	upload();
	assert_true(round_of_service() != UINT64_MAX);
	assert_true(guest_bell_deliver(&cpus[1]));

	work = say(SUTURE_MSG_POLL);
	assert_int_equal(work->kind, SUTURE_WORK_LOAD);
	assert_int_equal(work->net_ms, 0);
	/* while it is under way the agent asks by itself */
	work = say(SUTURE_MSG_POLL);
	assert_int_equal(work->kind, SUTURE_WORK_NONE);
	assert_int_equal(work->active, 1);
	assert_int_equal(work->net_ms, 0);
	assert_true(round_of_service() == UINT64_MAX);
	assert_false(guest_bell_due(&cpus[1]));
}

static void asks_first(void **state)
{
	(void)state;
	say(SUTURE_MSG_POLL);
	upload();
	round_of_service();
	assert_true(guest_bell_due(&cpus[1]));
	say(SUTURE_MSG_POLL);
	assert_false(guest_bell_deliver(&cpus[1]));
}

static void is_not_rung_when_it_has_left(void **state)
{
	(void)state;
	say(SUTURE_MSG_POLL);
	assert_int_equal(((const struct suture_msg *)say(SUTURE_MSG_BYE))->status, 0);
	agent_arrives();
	upload();
	assert_true(round_of_service() == UINT64_MAX);
	assert_false(guest_bell_due(&cpus[1]));
	/* a later agent polls until it has opened a doorbell */
	guest_heartbeat_set(0);
	say(SUTURE_MSG_POLL);
	assert_int_equal(((const struct suture_work *)answer)->net_ms, 0);
}

static enum guest_state health(void)
{
	struct guest_health h;

	round_of_service();
	engine_guest_health(engine, &h);
	return h.state;
}

/* It sends no message for half a minute, and is known to live. */
static void its_thread_counts(void **state)
{
	u32 *count = arch_ptr(PA(words.v));
	u64 time = 1000000;

	(void)state;
	say(SUTURE_MSG_POLL);
	for (u32 i = 0; i < 30; i++) {
		fake_time_set(time += 1000000, 0);
		++*count;
		assert_int_equal(health(), GUEST_ALIVE);
	}
	fake_time_set(time + 9999999, 0);
	assert_int_equal(health(), GUEST_ALIVE);
	fake_time_set(time + 10000000, 0);
	assert_int_equal(health(), GUEST_SILENT);
	++*count;
	assert_int_equal(health(), GUEST_ALIVE);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
		T(is_rung_when_there_is_work),
		T(asks_first),
		T(is_not_rung_when_it_has_left),
		T(its_thread_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
