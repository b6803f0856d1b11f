/* SPDX-License-Identifier: BSD-2-Clause */
/* Request heads that a client may send, and names in JSON. */
#include "api/api.h"
#include "lib/errno.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static struct http_request rq;
static char head[HTTP_HEAD_MAX];

/* Parse a copy that ends where its buffer does, so that the sanitizer sees a byte too many. */
static u16 parse(const char *text)
{
	size_t len = strlen(text);
	const char *why = NULL;
	u16 status;
	char *copy = malloc(len);

	memcpy(copy, text, len);
	status = http_parse(&rq, copy, len, &why);
	if (status)
		assert_non_null(why);
	free(copy);
	strcpy(head, text);
	if (!status)
		assert_int_equal(http_parse(&rq, head, len, &why), 0);
	return status;
}

#define GET(rest) "GET /v1/log?since=12&limit=3 HTTP/1.1\r\nHost: a\r\n" rest "\r\n"

static void reads_a_request(void **state)
{
	(void)state;
	assert_int_equal(parse(GET("")), 0);
	assert_int_equal(rq.method, HTTP_GET);
	assert_string_equal(rq.path, "/v1/log");
	assert_string_equal(rq.query, "since=12&limit=3");
	assert_string_equal(rq.content_type, "");
	assert_true(rq.keep_alive);
	assert_false(rq.has_length || rq.chunked || rq.expect_continue || rq.expect_other ||
		     rq.origin);
	assert_int_equal(parse("POST http://h:1/v1/patches HTTP/1.1\r\nhOST:h\r\n"
			       "cOntent-lEngth: \t12 \r\nContent-Type: a/b\t\r\n"
			       "Expect: 100-Continue\r\nOrigin: x\r\n\r\n"),
			 0);
	assert_int_equal(rq.method, HTTP_POST);
	assert_string_equal(rq.path, "/v1/patches");
	assert_string_equal(rq.query, "");
	assert_true(rq.has_length && rq.expect_continue && rq.origin);
	assert_int_equal(rq.content_length, 12);
	assert_string_equal(rq.content_type, "a/b");
}

static void knows_when_to_close(void **state)
{
	(void)state;
	assert_int_equal(parse(GET("Connection: x, Close\r\n")), 0);
	assert_false(rq.keep_alive);
	assert_int_equal(parse("GET / HTTP/1.0\r\n\r\n"), 0);
	assert_false(rq.keep_alive);
	assert_int_equal(parse("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"), 0);
	assert_true(rq.keep_alive);
}

static void refuses_what_is_not_http(void **state)
{
	static const struct {
		u16 status;
		const char *head;
	} bad[] = {
		{400, "\r\n\r\n"},
		{400, "GET\r\n\r\n"},
		{400, "GET /\r\n\r\n"},
		{400, "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, "GET / HTTP/1.1 \r\nHost: a\r\n\r\n"},
		{400, "GET / FTP/1.1\r\nHost: a\r\n\r\n"},
		{505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n"},
		{400, "G(T / HTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, "GET x HTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, "GET http://x HTTP/1.1\r\nHost: a\r\n\r\n"},
		{400, "GET / HTTP/1.1\r\n\r\n"}, /* no Host */
		{400, GET("Bad\r\n")},
		{400, GET(": x\r\n")},
		{400, GET("Content-Length : 3\r\n")},
		{400, GET("X: 1\r\n folded\r\n")},
		{400, GET("X: a\nb\r\n")},
		{400, GET("X: a\rb\r\n")},
		{400, GET("X: a\x01\r\n")},
		{400, GET("Content-Length: \r\n")},
		{400, GET("Content-Length: -1\r\n")},
		{400, GET("Content-Length: 0x10\r\n")},
		{400, GET("Content-Length: 1 2\r\n")},
		{400, GET("Content-Length: 99999999999999999999\r\n")},
		{400, GET("Content-Length: 1\r\nContent-Length: 1\r\n")},
		{400, GET("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n")},
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(bad); i++)
		if (parse(bad[i].head) != bad[i].status)
			fail_msg("not refused with %u: %s", bad[i].status, bad[i].head);
}

static void reads_numbers_of_a_query(void **state)
{
	u64 v = 7;

	(void)state;
	assert_int_equal(parse(GET("")), 0);
	assert_int_equal(http_query_u64(&rq, "since", &v), 0);
	assert_int_equal(v, 12);
	assert_int_equal(http_query_u64(&rq, "limit", &v), 0);
	assert_int_equal(v, 3);
	assert_int_equal(http_query_u64(&rq, "imit", &v), 0);
	assert_int_equal(http_query_u64(&rq, "lim", &v), 0);
	assert_int_equal(v, 3);
	rq.query = "a=&b=x&c=1x&d&e=99999999999999999999&&f=5&";
	for (const char *name = "a\0b\0c\0e\0"; *name; name += 2)
		assert_int_equal(http_query_u64(&rq, name, &v), -EINVAL);
	assert_int_equal(http_query_u64(&rq, "d", &v), 0);
	assert_int_equal(v, 3);
	assert_int_equal(http_query_u64(&rq, "f", &v), 0);
	assert_int_equal(v, 5);
}

/* Any bytes: no crash, no byte read behind the end, and an answer of some kind. */
static void survives_noise(void **state)
{
	static const char seed[] =
		"POST /v1/patches?x=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
		"Connection: close, x\r\nExpect: 100-continue\r\n\r\n";
	u32 accepted = 0;

	(void)state;
	srandom(1);
	for (u32 i = 0; i < 200000; i++) {
		size_t len = sizeof(seed) - 1;
		char *copy = malloc(len);
		const char *why;
		u16 status;

		memcpy(copy, seed, len);
		for (long n = random() % 4; n >= 0; n--)
			copy[(size_t)random() % len] = (char)random();
		if (i % 8 == 0)
			len = (size_t)random() % len;
		status = http_parse(&rq, copy, len, &why);
		assert_true(status == 0 || status == 400 || status == 505);
		if (!status) {
			accepted++;
			assert_true(rq.path[0] == '/');
			assert_true(strlen(rq.path) + strlen(rq.query) < len);
		}
		free(copy);
	}
	assert_true(accepted > 1000); /* or the noise tests nothing but the first check */
}

static char text[4096];

#define JSON(expected, ...)                                                                        \
	do {                                                                                       \
		struct out o = {text, sizeof(text) - 1, 0};                                        \
		struct json j = {&o, false};                                                       \
		__VA_ARGS__;                                                                       \
		text[o.len] = 0;                                                                   \
		assert_string_equal(text, expected);                                               \
	} while (0)

static void writes_json(void **state)
{
	(void)state;
	JSON("{\"a\":1,\"b\":[true,{},[],null],\"c\":\"0xffffffff81000000\",\"d\":\"00ff\"}",
	     json_object(&j, NULL), json_u64(&j, "a", 1), json_array(&j, "b"),
	     json_bool(&j, NULL, true), json_object(&j, NULL), json_object_end(&j),
	     json_array(&j, NULL), json_array_end(&j), json_null(&j, NULL), json_array_end(&j),
	     json_address(&j, "c", 0xffffffff81000000ull),
	     json_bytes(&j, "d", (const u8 *)"\x00\xff", 2), json_object_end(&j));
	JSON("18446744073709551615", json_u64(&j, NULL, UINT64_MAX));
}

static void escapes_every_byte_that_json_or_a_terminal_minds(void **state)
{
	struct out all = {text, sizeof(text), 0};
	struct json writer = {&all, false};
	char every[256];

	(void)state;
	for (u32 i = 0; i < 255; i++)
		every[i] = (char)(i + 1);
	every[255] = 0;
	json_str(&writer, NULL, every);
	for (size_t i = 0; i < all.len; i++)
		assert_in_range((u8)text[i], 0x20, 0x7e);
	JSON("\"a\\\"b\\\\c\\u000a\\u001b\\u007f\\u00e9/\"",
	     json_str(&j, NULL, "a\"b\\c\n\x1b\x7f\xe9/"));
	JSON("\"abc\"", json_strn(&j, NULL, "abcdef", 3)); /* a name that is not terminated */
	JSON("\"ab\"", json_strn(&j, NULL, "ab\0cd", 5));
}

static void counts_what_does_not_fit(void **state)
{
	char small[8] = "zzzzzzz";
	struct out o = {small, 4, 0};

	(void)state;
	out_bytes(&o, "abc", 3);
	assert_true(out_fits(&o));
	out_format(&o, "%s", "defgh");
	out_bytes(&o, "i", 1);
	assert_false(out_fits(&o));
	assert_int_equal(o.len, 9);
	assert_memory_equal(small, "abcdzzz", 8);
}

static void writes_headers(void **state)
{
	struct api_reply r = {.status = 405, .type = "application/json", .allow = "GET, HEAD"};
	char buf[HTTP_HEADERS_MAX];
	size_t len;

	(void)state;
	r.out.len = 12;
	len = http_headers(buf, sizeof(buf), &r, false);
	assert_int_equal(len, strlen(buf));
	assert_string_equal(buf, "HTTP/1.1 405 Method Not Allowed\r\nServer: suture/0.1.0\r\n"
				 "Content-Type: application/json\r\nContent-Length: 12\r\n"
				 "Cache-Control: no-store\r\nSuture-Audit: 0 "
				 "00000000000000000000000000000000"
				 "00000000000000000000000000000000\r\nAllow: GET, HEAD\r\n"
				 "Connection: close\r\n\r\n");
	r.allow = NULL;
	r.status = 202;
	strcpy(r.location, "/v1/patches/x");
	http_headers(buf, sizeof(buf), &r, true);
	assert_non_null(strstr(buf, "HTTP/1.1 202 Accepted\r\n"));
	assert_non_null(strstr(buf, "\r\nLocation: /v1/patches/x\r\n"));
	assert_non_null(strstr(buf, "\r\nConnection: keep-alive\r\n\r\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_a_request),
		cmocka_unit_test(knows_when_to_close),
		cmocka_unit_test(refuses_what_is_not_http),
		cmocka_unit_test(reads_numbers_of_a_query),
		cmocka_unit_test(survives_noise),
		cmocka_unit_test(writes_json),
		cmocka_unit_test(escapes_every_byte_that_json_or_a_terminal_minds),
		cmocka_unit_test(counts_what_does_not_fit),
		cmocka_unit_test(writes_headers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
