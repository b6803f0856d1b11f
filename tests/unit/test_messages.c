/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests of the guest that the configuration forbids: they do not reach the engine. */
#include "net_engine.h"
#include "agent/messages.h"
#include "core/log.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static u64 first; /* line of the log that this test began with */

static int setup(void **state)
{
	struct log_entry e;

	engine_setup_own(false, *state);
	agent_arrives();
	while (log_read(first, &e))
		first = e.seq + 1;
	return 0;
}

static int write_file(enum suture_set_what what, u32 value)
{
	static struct suture_set m;
	static _Alignas(8) u8 reply[SUTURE_MSG_MAX];

	m = (struct suture_set){
		.msg = {.type = SUTURE_MSG_SET, .size = sizeof(m)},
		.name = "fix",
		.what = what,
		.value = value,
		.comm = "a name of 16 \x1b[m",
		.pid = 412,
	};
	message_answer(engine, &m.msg, (struct suture_msg *)reply);
	return ((const struct suture_msg *)reply)->status;
}

static void the_guest_may_disable(void **state)
{
	struct log_entry e;

	(void)state;
	/* the engine was asked: it has no such patch */
	assert_int_equal(write_file(SUTURE_SET_ENABLED, 0), -ENOENT);
	assert_int_equal(write_file(SUTURE_SET_FORCE, 1), -ENOENT);
	assert_false(log_read(first, &e));
}

static void the_guest_may_not_disable(void **state)
{
	struct log_entry e;

	(void)state;
	assert_int_equal(write_file(SUTURE_SET_ENABLED, 0), -EPERM);
	assert_int_equal(write_file(SUTURE_SET_FORCE, 1), -EPERM);
	assert_true(log_read(first, &e));
	assert_string_equal(e.text, "patch 'fix': a name of 16 ?[m (pid 412) in the guest wrote 0 "
				    "to `enabled`: refused, suture.conf says guest_may_disable=no");
	assert_int_equal(e.level, LOG_WARN);
	assert_true(log_read(e.seq + 1, &e));
	assert_non_null(strstr(e.text, "wrote 1 to `force`: refused"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate_setup_teardown(the_guest_may_disable, setup, NULL,
							 &(bool){true}),
		cmocka_unit_test_setup(the_guest_may_not_disable, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
