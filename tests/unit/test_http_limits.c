/* SPDX-License-Identifier: BSD-2-Clause */
/* The server's limits for its peers: time, memory, connections; and invalid bytes. */
#include "tcp_rig.h"
#include "core/log.h"

static void takes_one_upload_at_a_time(void **state)
{
	struct client a, b;

	(void)state;
	begin_upload(&a, 1000, "");
	begin_upload(&b, 1000, "");
	assert_answer(&b, "HTTP/1.1 503 ");
	assert_answer(&b, "\"code\":\"EAGAIN\"");
	leave(&b);
	vanish(&a);
}

static void leaves_memory_for_the_monitor(void **state)
{
	struct pool_stats s;
	struct client c;
	void *most;
	size_t n;

	(void)state;
	pool_stats(&s);
	n = s.total_pages * 3 / 4 - s.used_pages;
	most = pool_alloc(n);
	assert_non_null(most);
	begin_upload(&c, 3 << 20, "");
	assert_answer(&c, "HTTP/1.1 507 ");
	assert_answer(&c, "\"code\":\"ENOMEM\"");
	assert_answer(&c, "memory= in suture.conf");
	leave(&c);
	pool_free(most, n);
}

static void ends_what_does_not_move(void **state)
{
	struct client c;
	u64 before = pool_used();

	(void)state;
	call(&c); /* nothing at all */
	wait_for(12);
	assert_true(c.closed);
	assert_int_equal(c.in_len, 0);
	leave(&c);

	call(&c); /* a head that trickles */
	for (u32 i = 0; i < 12; i++) {
		say(&c, "GET /v1/status HTTP/1.1" + i, 1);
		wait_for(1);
	}
	assert_answer(&c, "HTTP/1.1 408 ");
	assert_true(c.closed);
	leave(&c);

	begin_upload(&c, 100000, ""); /* a body that stops */
	say(&c, body, 1000);
	wait_for(12);
	assert_answer(&c, "HTTP/1.1 408 ");
	leave(&c);

	begin_upload(&c, 100000, ""); /* and one that trickles for ever */
	for (u32 i = 0; i < 30 && !c.closed; i++) {
		say(&c, body, 1);
		wait_for(5);
	}
	assert_answer(&c, "HTTP/1.1 408 ");
	leave(&c);
	assert_int_equal(pool_used(), before);
}

static void ends_a_client_that_does_not_read(void **state)
{
	u64 before = pool_used();
	struct client c;

	(void)state;
	for (u32 i = 0; i < 256; i++)
		log_error("%150u", i);
	call(&c);
	c.deaf = true;
	say_text(&c, GET("/v1/log") GET("/v1/log") GET("/v1/log") GET("/v1/log"));
	say_text(&c, GET("/v1/log") GET("/v1/log") GET("/v1/log") GET("/v1/log"));
	assert_true(pool_used() > before);
	assert_int_equal(connections(), 1);
	wait_for(25);
	assert_int_equal(connections(), 0);
	assert_int_equal(pool_used(), before);
	if (!c.reset)
		vanish(&c);
}

static void keeps_places_for_those_who_ask(void **state)
{
	struct client idle[8], c;

	(void)state;
	for (u32 i = 0; i < 8; i++)
		call(&idle[i]);
	call(&c);
	say_text(&c, GET_END("/v1/patches"));
	assert_answer(&c, "HTTP/1.1 200 OK\r\n");
	assert_true(idle[0].closed); /* the one that waited longest made room */
	assert_false(idle[1].closed);
	leave(&c);
	for (u32 i = 0; i < 8; i++)
		leave(&idle[i]);
	assert_int_equal(connections(), 0);
}

static void refuses_a_head_that_is_too_long(void **state)
{
	struct client c;

	(void)state;
	memset(body, 'a', 5000);
	memcpy(body, "GET /", 5);
	call(&c);
	say(&c, body, 5000);
	assert_answer(&c, "HTTP/1.1 431 ");
	assert_true(c.closed);
	assert_false(c.reset);
	leave(&c);
}

/* Requests with bytes changed, cut off anywhere, in pieces, closed or reset: nothing is left. */
static void survives_noise(void **state)
{
	static const char seed[] = GET("/v1/log?since=1") "POST /v1/patches HTTP/1.1\r\nHost: "
							  "a\r\nContent-Length: 50\r\n\r\n"
							  "0123456789" GET("/v1/status");
	char noise[sizeof(seed)];

	(void)state;
	srandom(7);
	for (u32 i = 0; i < 300; i++) {
		size_t len = (size_t)random() % sizeof(seed), half = (size_t)random() % (len + 1);
		struct client c;

		memcpy(noise, seed, sizeof(seed));
		for (long n = random() % 4; n > 0; n--)
			noise[(size_t)random() % sizeof(seed)] = (char)random();
		call(&c);
		say(&c, noise, half);
		if (!c.reset)
			say(&c, noise + half, len - half);
		if (c.reset)
			continue;
		if (random() % 2)
			leave(&c);
		else
			vanish(&c);
	}
	wait_for(30);
	assert_int_equal(connections(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(takes_one_upload_at_a_time),
		T(leaves_memory_for_the_monitor),
		T(ends_what_does_not_move),
		T(ends_a_client_that_does_not_read),
		T(keeps_places_for_those_who_ask),
		T(refuses_a_head_that_is_too_long),
		T(survives_noise),
	};

	return cmocka_run_group_tests(tests, start_lwip, NULL);
}
