/* SPDX-License-Identifier: BSD-2-Clause */
/* Answers and uploads over real TCP, whole and in pieces. */
#include "tcp_rig.h"
#include "core/log.h"

static void answers_and_keeps_the_connection(void **state)
{
	struct client c;

	(void)state;
	call(&c);
	for (u32 i = 1; i <= 3; i++) {
		say_text(&c, GET("/v1/patches"));
		assert_int_equal(answers_in(&c, "HTTP/1.1 200 OK\r\n"), i);
		assert_int_equal(answers_in(&c, "\r\n\r\n{\"patches\":[],\"wanted\":[]}\n"), i);
	}
	assert_false(c.closed);
	say_text(&c, GET_END("/v1/patches"));
	assert_int_equal(answers_in(&c, "HTTP/1.1 200 OK\r\n"), 4);
	assert_true(c.closed);
	leave(&c);
}

static void answers_requests_that_come_at_once(void **state)
{
	struct client c;

	(void)state;
	call(&c);
	say_text(&c, GET("/metrics") GET("/v1/status") GET("/nope") GET("/v1/log"));
	assert_int_equal(answers_in(&c, "HTTP/1.1 200 OK\r\n"), 3);
	assert_int_equal(answers_in(&c, "HTTP/1.1 404 Not Found\r\n"), 1);
	leave(&c);
}

static void answers_a_client_that_sends_no_more(void **state)
{
	struct client c;

	(void)state;
	call(&c);
	say_last(&c, GET("/v1/status") GET("/v1/status"));
	assert_int_equal(answers_in(&c, "HTTP/1.1 200 OK\r\n"), 2);
	assert_true(c.closed);
	leave(&c);
}

static void takes_a_head_in_pieces(void **state)
{
	const char *text = GET("/v1/patches") GET("/v1/patches");
	struct client c;

	(void)state;
	call(&c);
	for (; *text; text++)
		say(&c, text, 1);
	assert_int_equal(answers_in(&c, "HTTP/1.1 200 OK\r\n"), 2);
	leave(&c);
}

static void head_has_a_body_of_no_bytes(void **state)
{
	struct client c;

	(void)state;
	call(&c);
	say_text(&c, "HEAD /v1/patches HTTP/1.1\r\nHost: a\r\n\r\n" GET("/v1/patches"));
	assert_answer(&c, "Content-Length: 27\r\n");
	assert_int_equal(answers_in(&c, "{\"patches\":[],\"wanted\":[]}\n"), 1);
	leave(&c);
}

/* Longer than the first guess at its room, and than the window. */
static void sends_a_long_answer_whole(void **state)
{
	char line[LOG_LINE_MAX];
	const char *end, *length;
	struct client c;

	(void)state;
	memset(line, 1, sizeof(line));
	line[150] = 0;
	for (u32 i = 0; i < 256; i++)
		log_error("%s", line);
	call(&c);
	say_text(&c, GET_END("/v1/log?since=1"));
	assert_answer(&c, "HTTP/1.1 200 OK\r\n");
	end = strstr(c.in, "\r\n\r\n");
	length = strstr(c.in, "Content-Length: ");
	assert_true(end && length);
	assert_int_equal(c.in_len - (size_t)(end + 4 - c.in), strtoul(length + 16, NULL, 10));
	assert_true(c.in_len > 200000);
	assert_int_equal(answers_in(&c, "\"level\":\"error\""), 256);
	assert_string_equal(c.in + c.in_len - 2, "}\n");
	assert_true(c.closed);
	leave(&c);

	/* also to a client that closed its own side at once */
	call(&c);
	say_last(&c, GET("/v1/log?since=1"));
	assert_true(c.in_len > 200000);
	assert_string_equal(c.in + c.in_len - 2, "}\n");
	assert_true(c.closed);
	leave(&c);
}

/* ---- uploads ---- */

static void takes_an_upload(void **state)
{
	size_t size = make_bundle(body, "fix", 2 << 20);
	struct client c;

	(void)state;
	agent_arrives();
	begin_upload(&c, size, "");
	while (c.out_len || !c.in_len) {
		say(&c, c.out_len ? c.out : body, c.out_len ? c.out_len : size);
		if (c.reset || c.closed)
			break;
	}
	assert_answer(&c, "HTTP/1.1 202 Accepted\r\n");
	assert_answer(&c, "Location: /v1/patches/fix\r\n");
	say_text(&c, GET("/v1/patches/fix"));
	assert_answer(&c, "\"phase\":\"uploaded\"");
	leave(&c);
}

/* The refused one's memory is free again although its connection lives on. */
static void takes_another_after_a_bad_one(void **state)
{
	u64 before = pool_used();
	struct client c;

	(void)state;
	begin_upload(&c, 50000, "");
	say(&c, body + 1, 50000);
	assert_answer(&c, "HTTP/1.1 400 ");
	assert_int_equal(pool_used(), before);
	assert_false(c.closed);
	say_text(&c, "POST /v1/patches HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
	assert_int_equal(answers_in(&c, "HTTP/1.1 400 "), 2);
	leave(&c);
}

static void says_when_to_go_on(void **state)
{
	size_t size = make_bundle(body, "fix", 100);
	struct client c;

	(void)state;
	agent_arrives();
	begin_upload(&c, size, "Expect: 100-continue\r\n");
	assert_string_equal(c.in, "HTTP/1.1 100 Continue\r\n\r\n");
	say(&c, body, size);
	assert_answer(&c, "HTTP/1.1 202 Accepted\r\n");
	leave(&c);
}

/* The client sends its body without asking: it must be able to read why it was refused. */
static void refuses_without_a_reset(void **state)
{
	static const struct {
		const char *head, *answer;
	} refused[] = {
		{"POST /v1/patches HTTP/1.1\r\nHost: a\r\nContent-Length: 17000000\r\n\r\n",
		 "HTTP/1.1 413 "},
		{"POST /v1/nope HTTP/1.1\r\nHost: a\r\nContent-Length: 3145728\r\n\r\n",
		 "HTTP/1.1 404 "},
		{"POST /v1/patches HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
		 "HTTP/1.1 411 "},
		{"BREW /v1/patches HTTP/1.1\r\nHost: a\r\nContent-Length: 3145728\r\n\r\n",
		 "HTTP/1.1 405 "},
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(refused); i++) {
		struct client c;

		call(&c);
		c.out = (const u8 *)refused[i].head;
		c.out_len = strlen(refused[i].head);
		client_send(&c);
		say(&c, body, 500000);
		assert_answer(&c, refused[i].answer);
		assert_answer(&c, "Connection: close\r\n");
		assert_true(c.closed);
		assert_false(c.reset);
		assert_int_equal(c.out_len, 0);
		assert_int_equal(answers_in(&c, "HTTP/1.1 "), 1);
		leave(&c);
		assert_int_equal(connections(), 0);
	}
}

static void forgets_uploads_that_break_off(void **state)
{
	u64 before = pool_used();
	struct client c;

	(void)state;
	begin_upload(&c, 1 << 20, "");
	say(&c, body, 100000);
	assert_true(pool_used() >= before + 256);
	vanish(&c);
	assert_int_equal(pool_used(), before);
	begin_upload(&c, 1 << 20, "");
	say(&c, body, 100000);
	leave(&c); /* a FIN in the middle */
	assert_int_equal(pool_used(), before);
	assert_int_equal(connections(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(answers_and_keeps_the_connection),
		T(answers_requests_that_come_at_once),
		T(answers_a_client_that_sends_no_more),
		T(takes_a_head_in_pieces),
		T(head_has_a_body_of_no_bytes),
		T(sends_a_long_answer_whole),
		T(takes_an_upload),
		T(takes_another_after_a_bad_one),
		T(says_when_to_go_on),
		T(refuses_without_a_reset),
		T(forgets_uploads_that_break_off),
	};

	return cmocka_run_group_tests(tests, start_lwip, NULL);
}
