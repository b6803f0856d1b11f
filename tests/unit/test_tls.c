/* SPDX-License-Identifier: BSD-2-Clause */
/* TLS over lwIP, with openssl's client. */
#include "tls_rig.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(roles_get_in),
		T(aborted_handshakes_leave_nothing),
	};

	clock_step = 0; /* only wait_for() takes seconds */
	return cmocka_run_group_tests(tests, start_tls, stop_tls);
}
