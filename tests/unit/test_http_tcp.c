/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The server over real TCP: lwIP speaks to itself through its loopback. Time stands still but for
 * what a test lets pass, so that limits of seconds are tried in no time.
 */
#include "net_engine.h"
#include "core/log.h"
#include "net/http.h"
#include "lwip/init.h"
#include "lwip/netif.h"
#include "lwip/tcp.h"
#include "lwip/timeouts.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define PORT   8443
#define SECOND 1000000u

static struct netif netif;
static u8 heap[MEM_SIZE + 64] __attribute__((aligned(8)));

struct client {
	struct tcp_pcb *pcb;
	const u8 *out;
	size_t out_len;
	char *in;
	size_t in_len;
	bool connected, closed, reset;
	bool deaf; /* does not take what it receives: the server's window closes */
};

static char answers[1 << 20];

/* ---- the wire ---- */

static err_t no_wire(struct netif *n, struct pbuf *p, const ip4_addr_t *to)
{
	(void)n, (void)p, (void)to;
	return ERR_OK;
}

static err_t init_netif(struct netif *n)
{
	n->mtu = 1500;
	n->output = no_wire;
	return ERR_OK;
}

static int start_lwip(void **state)
{
	ip4_addr_t ip, mask;

	(void)state;
	IP4_ADDR(&ip, 10, 0, 2, 15);
	IP4_ADDR(&mask, 255, 255, 255, 0);
	engine_setup();
	net_heap = heap;
	lwip_init();
	netif_add(&netif, &ip, &mask, NULL, NULL, init_netif, netif_input);
	netif_set_default(&netif);
	netif_set_up(&netif);
	netif_set_link_up(&netif);
	return http_listen(PORT);
}

static void pass(u64 us)
{
	fake_time_set(arch_time_us() + us, 100);
}

static void client_send(struct client *c)
{
	size_t n = MIN(c->out_len, (size_t)tcp_sndbuf(c->pcb));

	if (!n || tcp_write(c->pcb, c->out, (u16_t)n, TCP_WRITE_FLAG_COPY) != ERR_OK)
		return;
	c->out += n;
	c->out_len -= n;
	tcp_output(c->pcb);
}

/* Let frames and timers run until nothing moves any more. */
static void settle(struct client *c)
{
	for (int i = 0; i < 2000; i++) {
		if (c && c->pcb && c->connected && c->out_len)
			client_send(c);
		netif_poll(&netif);
		pass(10);
		sys_check_timeouts();
	}
}

/* Let time pass in steps that lwIP's timers notice. */
static void wait_for(u32 seconds)
{
	for (u32 i = 0; i < 10 * seconds; i++) {
		pass(SECOND / 10);
		sys_check_timeouts();
		netif_poll(&netif);
	}
}

/* ---- the client ---- */

static err_t on_receive(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
	struct client *c = arg;

	(void)err;
	if (!p) {
		c->closed = true;
		return ERR_OK;
	}
	assert_true(c->in_len + p->tot_len < sizeof(answers));
	pbuf_copy_partial(p, c->in + c->in_len, p->tot_len, 0);
	c->in_len += p->tot_len;
	c->in[c->in_len] = 0;
	if (!c->deaf)
		tcp_recved(pcb, p->tot_len);
	pbuf_free(p);
	return ERR_OK;
}

static void on_error(void *arg, err_t err)
{
	struct client *c = arg;

	(void)err;
	c->pcb = NULL;
	c->reset = true;
}

static err_t on_connected(void *arg, struct tcp_pcb *pcb, err_t err)
{
	(void)pcb, (void)err;
	((struct client *)arg)->connected = true;
	return ERR_OK;
}

static void call(struct client *c)
{
	memset(c, 0, sizeof(*c));
	answers[0] = 0;
	c->in = answers;
	c->pcb = tcp_new();
	assert_non_null(c->pcb);
	tcp_arg(c->pcb, c);
	tcp_recv(c->pcb, on_receive);
	tcp_err(c->pcb, on_error);
	assert_int_equal(tcp_connect(c->pcb, netif_ip_addr4(&netif), PORT, on_connected), ERR_OK);
	settle(c);
	assert_true(c->connected);
}

static void say(struct client *c, const void *bytes, size_t len)
{
	c->out = bytes;
	c->out_len = len;
	settle(c);
}

static void say_text(struct client *c, const char *text)
{
	say(c, text, strlen(text));
}

static void leave(struct client *c)
{
	if (c->pcb) {
		tcp_arg(c->pcb, NULL);
		tcp_recv(c->pcb, NULL);
		tcp_err(c->pcb, NULL);
		tcp_close(c->pcb);
		c->pcb = NULL;
	}
	settle(NULL);
}

static void vanish(struct client *c)
{
	struct tcp_pcb *pcb = c->pcb;

	tcp_err(pcb, NULL);
	c->pcb = NULL;
	tcp_abort(pcb);
	settle(NULL);
}

static void assert_answer(const struct client *c, const char *part)
{
	if (!strstr(c->in, part))
		fail_msg("no %s in %.300s", part, c->in);
}

static u32 answers_in(const struct client *c, const char *part)
{
	u32 n = 0;

	for (const char *p = c->in; (p = strstr(p, part)); p++)
		n++;
	return n;
}

/* ---- each test begins and ends with nothing open and no page in use ---- */

static int setup(void **state)
{
	u64 time = arch_time_us();

	(void)state;
	engine_setup();
	fake_time_set(time, 100);
	return 0;
}

static u32 connections(void)
{
	struct http_stats s;

	http_stats(&s);
	return s.connections;
}

static int teardown(void **state)
{
	(void)state;
	wait_for(150); /* TIME_WAIT too */
	engine_destroy(engine);
	if (connections() || pool_used())
		print_error("%u connections, %u pages left\n", connections(), (u32)pool_used());
	return connections() || pool_used();
}

#define GET(path)     "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define GET_END(path) "GET " path " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

static void answers_and_keeps_the_connection(void **state)
{
	struct client c;

	(void)state;
	call(&c);
	for (u32 i = 1; i <= 3; i++) {
		say_text(&c, GET("/v1/patches"));
		assert_int_equal(answers_in(&c, "HTTP/1.1 200 OK\r\n"), i);
		assert_int_equal(answers_in(&c, "\r\n\r\n{\"patches\":[]}\n"), i);
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
	c.out = (const u8 *)(GET("/v1/status") GET("/v1/status"));
	c.out_len = strlen((const char *)c.out);
	client_send(&c);
	tcp_shutdown(c.pcb, 0, 1);
	settle(&c);
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
	assert_answer(&c, "Content-Length: 15\r\n");
	assert_int_equal(answers_in(&c, "{\"patches\":[]}\n"), 1);
	leave(&c);
}

/* Longer than the first guess at its room, and than the window. */
static void sends_a_long_answer_whole(void **state)
{
	char line[LOG_LINE_MAX];
	const char *body, *length;
	struct client c;

	(void)state;
	memset(line, 1, sizeof(line));
	line[150] = 0;
	for (u32 i = 0; i < 256; i++)
		log_error("%s", line);
	call(&c);
	say_text(&c, GET_END("/v1/log?since=1"));
	assert_answer(&c, "HTTP/1.1 200 OK\r\n");
	body = strstr(c.in, "\r\n\r\n");
	length = strstr(c.in, "Content-Length: ");
	assert_true(body && length);
	assert_int_equal(c.in_len - (size_t)(body + 4 - c.in), strtoul(length + 16, NULL, 10));
	assert_true(c.in_len > 200000);
	assert_int_equal(answers_in(&c, "\"level\":\"error\""), 256);
	assert_string_equal(c.in + c.in_len - 2, "}\n");
	assert_true(c.closed);
	leave(&c);

	/* also to a client that closed its own side at once */
	call(&c);
	c.out = (const u8 *)GET("/v1/log?since=1");
	c.out_len = strlen((const char *)c.out);
	client_send(&c);
	tcp_shutdown(c.pcb, 0, 1);
	settle(&c);
	assert_true(c.in_len > 200000);
	assert_string_equal(c.in + c.in_len - 2, "}\n");
	assert_true(c.closed);
	leave(&c);
}

/* ---- uploads ---- */

static u8 body[3 << 20];

static size_t begin_upload(struct client *c, size_t size, const char *more)
{
	static char head[256];

	call(c);
	snprintf(head, sizeof(head),
		 "POST /v1/patches HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n%s\r\n", size,
		 more);
	say_text(c, head);
	return size;
}

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

/* ---- limits ---- */

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
	struct client busy[8], idle[8], c;

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

	for (u32 i = 0; i < 8; i++) {
		call(&busy[i]);
		say_text(&busy[i], "GET /v1");
	}
	call(&c);
	assert_answer(&c, "HTTP/1.1 503 ");
	assert_true(c.closed);
	leave(&c);
	for (u32 i = 0; i < 8; i++)
		vanish(&busy[i]);
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
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
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
