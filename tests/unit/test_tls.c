/* SPDX-License-Identifier: BSD-2-Clause */
/* TLS over lwIP, with openssl's client. */
#include "tls_rig.h"
#include "core/log.h"

#define OPERATOR 15

static void roles_get_in(void **state)
{
	static struct tls_client c;

	(void)state;
	for (enum tls_role r = TLS_ROLE_NONE; r <= TLS_ROLE_ADMIN; r++) {
		tls_call(&c, OPERATOR, tls_clients[r]);
		tls_say(&c, GET_END("/v1/patches"));
		tls_assert_answer(&c, r ? "HTTP/1.1 200 OK\r\n" : "HTTP/1.1 403 ");
		tls_leave(&c);
	}
}

/* ---- handshakes that are not finished ---- */

struct usage {
	size_t tls, pages, lwip, tcp, altcp;
};

static struct usage usage(void)
{
	return (struct usage){
		.tls = tls_memory().used,
		.pages = pool_used(),
		.lwip = used_by_lwip(),
		.tcp = lwip_stats.memp[MEMP_TCP_PCB]->used,
		.altcp = lwip_stats.memp[MEMP_ALTCP_PCB]->used,
	};
}

static u32 seed = 1;

static u32 random_below(u32 n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

/* Bytes that a client sends until its first request is answered. */
static size_t bytes_of_a_visit(void)
{
	static struct tls_client c;
	size_t sent;

	tls_call(&c, OPERATOR, tls_clients[TLS_ROLE_READ]);
	tls_say(&c, GET("/v1/patches"));
	tls_assert_answer(&c, "HTTP/1.1 200 OK\r\n");
	sent = c.sent;
	tls_leave(&c);
	return sent;
}

/* A client that falls silent behind so many bytes; then it closes, resets, or has vanished. */
static void abort_visit(size_t bytes, u8 host)
{
	static struct tls_client c;

	tls_call(&c, host, tls_clients[TLS_ROLE_READ]);
	c.allowed = bytes;
	tls_say(&c, GET("/v1/patches"));
	if (!c.tcp.pcb)
		;
	else if (random_below(3) == 0)
		leave(&c.tcp);
	else if (random_below(2))
		vanish(&c.tcp);
	else
		lose(&c.tcp, host);
	tls_forget(&c);
}

static void aborted_handshakes_leave_nothing(void **state)
{
	u32 within = 0, served = 0;
	struct usage before, after;
	size_t whole;

	(void)state;
	whole = bytes_of_a_visit();
	wait_for(150);
	before = usage();
	for (u32 i = 0; i < 1000; i++) {
		size_t bytes = random_below((u32)whole);
		u64 handshakes = tls_stats().handshakes;

		abort_visit(bytes, (u8)(100 + i % 50));
		within += tls_stats().handshakes == handshakes;
		if (i % 50 == 49)
			served += tls_is_served(OPERATOR, TLS_ROLE_READ);
	}
	wait_for(150);
	after = usage();
	print_message("1000 visits of up to %zu bytes, %u ended within the handshake: TLS %zu and "
		      "%zu bytes, lwIP %zu and %zu, %zu and %zu pages; %u of 20 requests served\n",
		      whole, within, before.tls, after.tls, before.lwip, after.lwip, before.pages,
		      after.pages, served);
	assert_int_equal(served, 20);
	assert_true(within > 500);
	assert_memory_equal(&before, &after, sizeof(before));
}

/* ---- one certificate's share ---- */

#define MANY 8

static u64 over_limit(void)
{
	struct http_stats s;

	http_stats(&s);
	return s.over_places + s.over_requests;
}

/* Answers that are longer than the windows of TCP, which the client does not take. */
static void hold_place(struct tls_client *c, u8 host, enum tls_role role)
{
	tls_call(c, host, tls_clients[role]);
	tls_talk(c);
	c->tcp.deaf = true;
	tls_say(c, GET("/v1/log") GET("/v1/log") GET("/v1/log") GET("/v1/log"));
}

/* From two addresses, each of which could have eight places. */
static void a_certificate_has_four_places(void **state)
{
	static struct tls_client greedy[MANY];
	u32 refused = 0;

	(void)state;
	for (u32 i = 0; i < 256; i++)
		log_error("%150u", i);
	for (u32 i = 0; i < MANY; i++) {
		hold_place(&greedy[i], (u8)(20 + i % 2), TLS_ROLE_READ);
		refused += strstr(greedy[i].text, "HTTP/1.1 429 ") != NULL;
	}
	assert_int_equal(refused, MANY - 4);
	assert_int_equal(over_limit(), refused);
	tls_assert_answer(&greedy[MANY - 1], "has 4 connections already");
	tls_assert_answer(&greedy[MANY - 1], "\r\nRetry-After: 1\r\n");
	assert_true(tls_is_served(20, TLS_ROLE_ADMIN));
	for (u32 i = 0; i < MANY; i++) {
		if (greedy[i].tcp.pcb)
			vanish(&greedy[i].tcp);
		tls_forget(&greedy[i]);
	}
}

/* Its own connections that wait make room for it. */
static void its_own_give_way(void **state)
{
	static struct tls_client idle[4];

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(idle); i++) {
		tls_call(&idle[i], 20, tls_clients[TLS_ROLE_READ]);
		tls_say(&idle[i], GET("/v1/patches"));
		tls_assert_answer(&idle[i], "HTTP/1.1 200 OK\r\n");
	}
	assert_int_equal(connections(), 4);
	assert_true(tls_is_served(21, TLS_ROLE_READ));
	assert_true(idle[0].tcp.closed || idle[0].tcp.reset);
	assert_false(idle[1].tcp.closed || idle[1].tcp.reset);
	for (u32 i = 0; i < ARRAY_SIZE(idle); i++)
		tls_leave(&idle[i]);
}

/* On one connection; the admin is served meanwhile, and the client again a second later. */
static void requests_are_limited(void **state)
{
	u64 before = over_limit(), began;
	static struct tls_client c;
	u32 served = 0, ms;

	(void)state;
	settle_rounds = 40;
	tls_call(&c, 20, tls_clients[TLS_ROLE_READ]);
	began = arch_time_us();
	for (u32 i = 0; i < 1000; i++) {
		c.text[0] = 0;
		tls_say(&c, "HEAD /v1/patches HTTP/1.1\r\nHost: a\r\n\r\n");
		c.tcp.in_len = c.fed = 0;
		served += strstr(c.text, "HTTP/1.1 200 OK\r\n") != NULL;
	}
	ms = (u32)(arch_time_us() - began) / 1000;
	print_message("%u of 1000 requests in %u ms were served\n", served, ms);
	assert_in_range(served, 100, 101 + ms / 20);
	tls_assert_answer(&c, "HTTP/1.1 429 ");
	assert_int_equal(over_limit() - before, 1000 - served);
	assert_true(tls_is_served(20, TLS_ROLE_ADMIN));
	wait_for(1);
	tls_say(&c, GET_END("/v1/patches"));
	tls_assert_answer(&c, "HTTP/1.1 200 OK\r\n");
	tls_leave(&c);
	settle_rounds = 2000;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(roles_get_in),
		T(aborted_handshakes_leave_nothing),
		T(a_certificate_has_four_places),
		T(its_own_give_way),
		T(requests_are_limited),
	};

	clock_step = 0; /* only wait_for() takes seconds */
	return cmocka_run_group_tests(tests, start_tls, stop_tls);
}
