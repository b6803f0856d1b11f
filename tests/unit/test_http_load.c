/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Clients that hold what they need not: places, the slot for uploads, memory, half-open
 * connections. Whatever they do an operator is answered at once, and nothing of theirs is left.
 */
#include "tcp_rig.h"
#include "core/log.h"

#define OPERATOR 15
#define ATTACKER 20
#define OTHER	 21

/* Answers longer than both windows: for a client that does not read they do not end. */
#define LOGS GET("/v1/log") GET("/v1/log") GET("/v1/log") GET("/v1/log") GET("/v1/log")

static void fill_log(void)
{
	for (u32 i = 0; i < 256; i++)
		log_error("%150u", i);
}

/* One request from there: is it answered? */
static bool is_served(u8 host)
{
	static struct client c;
	bool served;

	call_from(&c, host);
	say_text(&c, GET_END("/v1/patches"));
	served = strstr(c.in, "HTTP/1.1 200 OK\r\n");
	leave(&c);
	return served;
}

/* A connection whose answers nobody looks at. */
static void call_aside(struct client *c, u8 host)
{
	static char unread[sizeof(answers)];

	call_from(c, host);
	c->in = unread;
}

static void leave_all(struct client *c, u32 count)
{
	for (u32 i = 0; i < count; i++)
		if (c[i].pcb)
			vanish(&c[i]);
}

/* ---- places ---- */

static void one_byte_locks_nobody_out(void **state)
{
	static struct client idle[32];
	u32 served = 0;

	(void)state;
	for (u32 i = 0; i < 32; i++) {
		call_aside(&idle[i], i % 2 ? ATTACKER : OTHER);
		say(&idle[i], "G", 1);
		served += is_served(OPERATOR) + is_served(ATTACKER);
	}
	print_message("with up to 32 connections of one byte: %u of 64 requests served\n", served);
	assert_int_equal(served, 64);
	leave_all(idle, 32);
}

/* An address has half of the places, and its newcomers take those of its own. */
static void an_address_has_half_of_the_places(void **state)
{
	static struct client many[12], mine;

	(void)state;
	call_from(&mine, OPERATOR);
	say_text(&mine, "GET /v1/patches");
	for (u32 i = 0; i < 12; i++) {
		call_aside(&many[i], ATTACKER);
		say(&many[i], "G", 1);
	}
	assert_int_equal(connections(), 9);
	assert_true(many[0].closed || many[0].reset);
	say_text(&mine, " HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_answer(&mine, "HTTP/1.1 200 OK\r\n");
	leave(&mine);
	leave_all(many, 12);
}

/* Those that were answered, and do not close, make room as well. */
static void the_answered_make_room(void **state)
{
	static struct client answered[8];

	(void)state;
	for (u32 i = 0; i < 8; i++) {
		call_aside(&answered[i], ATTACKER);
		say_text(&answered[i], GET_END("/nope"));
	}
	assert_int_equal(connections(), 8);
	assert_true(is_served(ATTACKER));
	leave_all(answered, 8);
}

/* Nobody who asks as fast as others is turned away for the sake of a newcomer. */
static void who_is_in_time_keeps_the_place(void **state)
{
	u64 before = pool_used();
	static struct client busy[8], c;

	(void)state;
	fill_log();
	for (u32 i = 0; i < 8; i++) {
		call_aside(&busy[i], OPERATOR);
		busy[i].deaf = true;
		say_text(&busy[i], LOGS);
	}
	call_from(&c, OPERATOR);
	assert_answer(&c, "HTTP/1.1 503 ");
	assert_true(is_served(OTHER));
	leave(&c);
	assert_int_equal(connections(), 8);
	leave_all(busy, 8);
	assert_int_equal(pool_used(), before);
}

/* ---- those who read slowly ---- */

static void slow_readers_make_room(void **state)
{
	u64 before = pool_used();
	static struct client slow[8];

	(void)state;
	fill_log();
	for (u32 i = 0; i < 8; i++) {
		call_aside(&slow[i], ATTACKER);
		slow[i].deaf = true;
		say_text(&slow[i], LOGS);
	}
	wait_for(4);
	assert_true(is_served(ATTACKER));
	leave_all(slow, 8);
	assert_int_equal(pool_used(), before);
}

/* A window that opens a little, again and again, does not keep the answer in memory. */
static void a_trickle_of_reading_ends(void **state)
{
	u64 before = pool_used();
	static struct client c;
	u32 seconds = 0;

	(void)state;
	fill_log();
	call_from(&c, ATTACKER);
	c.deaf = true;
	say_text(&c, LOGS);
	assert_true(pool_used() > before);
	for (; !c.reset && seconds < 300; seconds += 5) {
		tcp_recved(c.pcb, 1460);
		wait_for(5);
	}
	print_message("1460 bytes every 5 s: ended after %u s\n", seconds);
	assert_true(c.reset && seconds <= 30);
	assert_int_equal(pool_used(), before);
}

/* What comes while an answer is not taken stays with its sender. */
static void requests_wait_with_their_sender(void **state)
{
	static struct client c;
	u32 taken;

	(void)state;
	fill_log();
	call_from(&c, ATTACKER);
	c.deaf = true;
	tcp_nagle_disable(c.pcb);
	say_text(&c, LOGS);
	for (u32 i = 0; i < 80; i++)
		say(&c, "G", 1);
	taken = 80 - (TCP_SND_BUF - tcp_sndbuf(c.pcb));
	print_message("%u of 80 segments of one byte were taken\n", taken);
	assert_true(taken <= 2);
	vanish(&c);
}

static void many_requests_in_one_packet(void **state)
{
	static char requests[8192];
	static struct client c;
	u32 n = 0;

	(void)state;
	most_answers = 0;
	for (size_t at = 0; at + 64 < sizeof(requests); n++)
		at += (size_t)snprintf(requests + at, sizeof(requests) - at, "%s",
				       "HEAD /nope HTTP/1.1\r\nHost: a\r\n\r\n");
	call_from(&c, ATTACKER);
	say_text(&c, requests);
	for (u32 i = 0; i < 60 && answers_in(&c, "HTTP/1.1 404 ") < n; i++)
		wait_for(1);
	print_message("%u requests: at most %u answered in one go\n", n, (u32)most_answers);
	assert_int_equal(answers_in(&c, "HTTP/1.1 404 "), n);
	assert_true(most_answers <= 16); /* 8 for what it brings, and 8 for what it acknowledges */
	leave(&c);
}

/* ---- uploads ---- */

static void a_trickled_upload_loses_the_slot(void **state)
{
	size_t size = make_bundle(body, "fix", 100);
	static struct client slow, c;
	u32 seconds = 0;

	(void)state;
	agent_arrives();
	begin_upload_from(&slow, ATTACKER, 100000, "");
	while (seconds < 150) {
		if (slow.pcb)
			say(&slow, body, 1);
		wait_for(1);
		seconds++;
		begin_upload_from(&c, OPERATOR, size, "");
		if (!strstr(c.in, "HTTP/1.1 503 "))
			break;
		leave(&c);
	}
	print_message("a trickled upload held the slot for %u s\n", seconds);
	assert_true(seconds <= 2);
	assert_answer(&slow, "HTTP/1.1 408 "); /* both write into the same buffer */
	say(&c, body, size);
	assert_answer(&c, "HTTP/1.1 202 ");
	leave(&c);
	vanish(&slow);
}

/* Alone it ends as well. */
static void a_trickled_upload_ends(void **state)
{
	u64 before = pool_used();
	static struct client slow;
	u32 seconds = 0;

	(void)state;
	begin_upload_from(&slow, ATTACKER, 100000, "");
	for (; seconds < 150 && !slow.closed; seconds++) {
		say(&slow, body, 1);
		wait_for(1);
	}
	print_message("a trickled upload ended after %u s\n", seconds);
	assert_true(seconds <= 12);
	assert_answer(&slow, "HTTP/1.1 408 ");
	assert_int_equal(pool_used(), before);
	leave(&slow);
}

/* ---- connections ---- */

static void half_open_connections_give_way(void **state)
{
	u32 served = 0;

	(void)state;
	for (u32 i = 0; i < 500; i++) {
		u8 host = (u8)(100 + i % 100);
		ip_addr_t from = IPADDR4_INIT_BYTES(10, 0, 2, host);
		struct tcp_pcb *pcb = tcp_new();

		vanished[host] = true;
		assert_non_null(pcb);
		tcp_bind(pcb, &from, 0);
		tcp_connect(pcb, netif_ip_addr4(&netif), PORT, on_connected);
		tcp_abandon(pcb, 0);
		poll_wire();
		if (i % 50 == 49)
			served += is_served(OPERATOR);
	}
	print_message("among 500 half-open connections: %u of 10 requests served\n", served);
	assert_int_equal(served, 10);
	memset(vanished, 0, sizeof(vanished));
}

static void drop(struct client *c, u32 i)
{
	static const char *const begun[] = {
		"",
		"G",
		GET("/v1/patches"),
		GET_END("/v1/patches"),
		GET("/nope"),
		"POST /v1/patches HTTP/1.1\r\nHost: a\r\nContent-Length: 70000\r\n\r\nabc",
		LOGS,
	};
	u8 host = (u8)(100 + i % 50);

	call_from(c, host);
	c->deaf = i % 2;
	if (*begun[i % ARRAY_SIZE(begun)])
		say_text(c, begun[i % ARRAY_SIZE(begun)]);
	if (c->reset)
		return;
	if (i % 3 == 0)
		leave(c);
	else if (i % 3 == 1)
		vanish(c);
	else
		lose(c, host);
}

static void a_thousand_leave_nothing(void **state)
{
	u64 pages = pool_used();
	u32 served = 0, bytes, pcbs;
	static struct client c;

	(void)state;
	fill_log();
	wait_for(30);
	bytes = used_by_lwip();
	pcbs = lwip_stats.memp[MEMP_TCP_PCB]->used;
	for (u32 i = 0; i < 1000; i++) {
		drop(&c, i);
		if (i % 10 == 9)
			served += is_served(OPERATOR);
	}
	wait_for(150);
	print_message("1000 connections dropped: %u of 100 requests served between them; "
		      "heap %u and %u bytes, %u and %u pcbs, %u and %u pages\n",
		      served, bytes, used_by_lwip(), pcbs, lwip_stats.memp[MEMP_TCP_PCB]->used,
		      (u32)pages, (u32)pool_used());
	assert_int_equal(served, 100);
	assert_int_equal(connections(), 0);
	assert_int_equal(pool_used(), pages);
	assert_int_equal(used_by_lwip(), bytes);
	assert_true(lwip_stats.mem.max > 0);
	assert_int_equal(lwip_stats.memp[MEMP_TCP_PCB]->used, pcbs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(one_byte_locks_nobody_out),	     T(an_address_has_half_of_the_places),
		T(the_answered_make_room),	     T(who_is_in_time_keeps_the_place),
		T(slow_readers_make_room),	     T(a_trickle_of_reading_ends),
		T(requests_wait_with_their_sender),  T(many_requests_in_one_packet),
		T(a_trickled_upload_loses_the_slot), T(a_trickled_upload_ends),
		T(half_open_connections_give_way),   T(a_thousand_leave_nothing),
	};

	clock_step = 0; /* only wait_for() takes seconds */
	return cmocka_run_group_tests(tests, start_lwip, NULL);
}
