/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests of the guest that the configuration forbids: they do not reach the engine. */
#include "net_engine.h"
#include "agent/messages.h"
#include "core/checkpoint.h"
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

/* ---- requests in parts ---- */

#define LONG_SIZE (3 * SUTURE_MSG_MAX)

static _Alignas(8) u8 whole[LONG_SIZE], part[SUTURE_MSG_MAX], answer[SUTURE_MSG_MAX];

static const struct suture_msg *send_part(u32 total, u32 offset, u32 len)
{
	*(struct suture_part *)part = (struct suture_part){
		.msg = {.type = SUTURE_MSG_PART,
			.size = (su32)sizeof(struct suture_part) + len,
			.seq = 77},
		.total = total,
		.offset = offset,
	};
	if (offset < LONG_SIZE)
		memcpy(part + sizeof(struct suture_part), whole + offset,
		       MIN(len, LONG_SIZE - offset));
	message_answer(engine, (const struct suture_msg *)part, (struct suture_msg *)answer);
	return (const struct suture_msg *)answer;
}

/* A list of overridden functions that is longer than the mailbox takes. */
static void long_request(void)
{
	struct suture_overridden *m = (void *)whole;
	struct suture_override *list = (void *)(m + 1);

	m->count = (su32)((LONG_SIZE - sizeof(*m)) / sizeof(*list));
	m->more = 0;
	m->msg = (struct suture_msg){
		.type = SUTURE_MSG_OVERRIDDEN,
		.size = (su32)(sizeof(*m) + m->count * sizeof(*list)),
		.seq = 99,
	};
	for (u32 i = 0; i < m->count; i++) {
		list[i].func = 0xffffffff81000000ull + i;
		strcpy(list[i].who, "a tracer");
	}
}

#define STEP 60000u

static const struct suture_msg *send_all(u32 total)
{
	const struct suture_msg *r = NULL;

	for (u32 at = 0; at < total; at += STEP) {
		r = send_part(total, at, MIN(STEP, total - at));
		if (at + STEP < total) {
			assert_int_equal(r->type, SUTURE_MSG_PART);
			assert_int_equal(r->status, 0);
		}
	}
	return r;
}

/* Without the table of blocks, which stays. */
static u64 pages_in_use(void)
{
	struct pool_stats s;

	checkpoint_free(checkpoint_alloc(1), 1);
	pool_stats(&s);
	return s.used_pages;
}

static void a_long_request_comes_in_parts(void **state)
{
	const struct suture_msg *m = (const void *)whole, *r;
	u64 used = pages_in_use();

	(void)state;
	long_request();
	r = send_all(m->size);
	assert_int_equal(r->type, SUTURE_MSG_OVERRIDDEN);
	assert_int_equal(r->seq, 99);
	assert_int_equal(r->size, sizeof(*r));
	assert_int_equal(r->status, 0);
	assert_int_equal(pages_in_use(), used);

	/* the whole is checked as any message: the list must be in order */
	((struct suture_override *)(whole + sizeof(struct suture_overridden)))[1].func = 0;
	assert_int_equal(send_all(m->size)->status, -EINVAL);
	assert_int_equal(pages_in_use(), used);
}

static void parts_that_do_not_fit(void **state)
{
	u64 used = pages_in_use();
	u32 total;

	(void)state;
	long_request();
	total = ((const struct suture_msg *)whole)->size;
	assert_int_equal(send_part(SUTURE_MSG_MAX, 0, STEP)->status, -EMSGSIZE);
	assert_int_equal(send_part(SUTURE_LONG_MAX + 1, 0, STEP)->status, -EMSGSIZE);
	assert_int_equal(send_part(total, 0, 0)->status, -EINVAL);
	assert_int_equal(send_part(total, STEP, STEP)->status, -EINVAL); /* the first is missing */

	assert_int_equal(send_part(total, 0, STEP)->status, 0);
	assert_int_equal(send_part(total, 2 * STEP, STEP)->status, -EINVAL);
	assert_int_equal(send_part(total, STEP, STEP)->status, -EINVAL); /* all is forgotten */
	assert_int_equal(send_part(total, 0, STEP)->status, 0);
	assert_int_equal(send_part(total + 8, STEP, STEP)->status, -EINVAL);

	/* more than the total */
	assert_int_equal(send_part(SUTURE_MSG_MAX + 8, 0, STEP)->status, 0);
	assert_int_equal(send_part(SUTURE_MSG_MAX + 8, STEP, STEP)->status, -EINVAL);

	/* its own size is another one, or it is a part itself */
	assert_int_equal(send_all(total - 8)->status, -EINVAL);
	((struct suture_msg *)whole)->type = SUTURE_MSG_PART;
	assert_int_equal(send_all(total)->status, -EINVAL);
	long_request();

	/* another message, or a new beginning, discards what has come */
	assert_int_equal(send_part(total, 0, STEP)->status, 0);
	assert_int_equal(write_file(SUTURE_SET_ENABLED, 0), -EPERM);
	assert_int_equal(pages_in_use(), used);
	assert_int_equal(send_part(total, STEP, STEP)->status, -EINVAL);
	assert_int_equal(send_part(total, 0, STEP)->status, 0);
	assert_int_equal(send_all(total)->status, 0);
	assert_int_equal(pages_in_use(), used);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate_setup_teardown(the_guest_may_disable, setup, NULL,
							 &(bool){true}),
		cmocka_unit_test_setup(the_guest_may_not_disable, setup),
		cmocka_unit_test_setup(a_long_request_comes_in_parts, setup),
		cmocka_unit_test_setup(parts_that_do_not_fit, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
