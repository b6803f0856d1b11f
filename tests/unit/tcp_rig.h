/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The server over real TCP: lwIP connects to itself through its loopback. Simulated time advances
 * only when a test says so, so that limits of seconds are tested quickly.
 */
#ifndef TCP_RIG_H
#define TCP_RIG_H

#include "net_engine.h"
#include "api/http.h"
#include "lwip/init.h"
#include "lwip/ip.h"
#include "lwip/netif.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/stats.h"
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
static bool over_tls; /* what start_lwip() has the API speak */

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

/* Hosts of 10.0.2.0/24 that have vanished: what is sent to them is lost. */
static bool vanished[256];

static struct {
	struct pbuf *p;
	ip4_addr_t to;
} wire[256];
static u32 wire_len;

static inline err_t no_wire(struct netif *n, struct pbuf *p, const ip4_addr_t *to)
{
	(void)n;
	if (vanished[ip4_addr4(to)])
		return ERR_OK;
	if (wire_len == ARRAY_SIZE(wire))
		return ERR_MEM;
	wire[wire_len].p = pbuf_clone(PBUF_RAW, PBUF_RAM, p);
	ip4_addr_copy(wire[wire_len].to, *to);
	wire_len += wire[wire_len].p != NULL;
	return ERR_OK;
}

static u64 most_answers; /* to one packet */

static inline u64 answers_so_far(void)
{
	struct http_stats s;

	http_stats(&s);
	return s.good + s.refused + s.failed;
}

/* Deliver what is on the wire: each address is ours while a packet for it comes in. */
static inline void poll_wire(void)
{
	u64 before;
	ip4_addr_t server = *netif_ip4_addr(&netif);

	netif_poll(&netif);
	for (u32 i = 0; i < wire_len; i++) {
		ip_addr_copy(netif.ip_addr, wire[i].to);
		before = answers_so_far();
		if (ip4_input(wire[i].p, &netif) != ERR_OK)
			pbuf_free(wire[i].p);
		most_answers = MAX(most_answers, answers_so_far() - before);
	}
	wire_len = 0;
	ip_addr_copy(netif.ip_addr, server);
	netif_poll(&netif);
}

static inline err_t init_netif(struct netif *n)
{
	n->mtu = 1500;
	n->output = no_wire;
	return ERR_OK;
}

static inline int start_lwip(void **state)
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
	return http_listen(engine, PORT, over_tls);
}

static u64 clock_step = 100; /* by which each look at the clock advances it */

static inline void pass(u64 us)
{
	fake_time_set(arch_time_us() + us, clock_step);
}

static inline void client_send(struct client *c)
{
	size_t n = MIN(c->out_len, (size_t)tcp_sndbuf(c->pcb));

	if (!n || tcp_write(c->pcb, c->out, (u16_t)n, TCP_WRITE_FLAG_COPY) != ERR_OK)
		return;
	c->out += n;
	c->out_len -= n;
	tcp_output(c->pcb);
}

static u32 settle_rounds = 2000;

/* Let frames and timers run until nothing moves any more. */
static inline void settle(struct client *c)
{
	for (u32 i = 0; i < settle_rounds; i++) {
		if (c && c->pcb && c->connected && c->out_len)
			client_send(c);
		poll_wire();
		pass(10);
		sys_check_timeouts();
	}
}

/* Let time pass in steps that lwIP's timers notice. */
static inline void wait_for(u32 seconds)
{
	for (u32 i = 0; i < 10 * seconds; i++) {
		pass(SECOND / 10);
		sys_check_timeouts();
		poll_wire();
	}
}

/* ---- the client ---- */

static inline err_t on_receive(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
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

static inline void on_error(void *arg, err_t err)
{
	struct client *c = arg;

	(void)err;
	c->pcb = NULL;
	c->reset = true;
}

static inline err_t on_connected(void *arg, struct tcp_pcb *pcb, err_t err)
{
	(void)pcb, (void)err;
	((struct client *)arg)->connected = true;
	return ERR_OK;
}

/* Connect from 10.0.2.host. */
static inline void call_from(struct client *c, u8 host)
{
	ip_addr_t from = IPADDR4_INIT_BYTES(10, 0, 2, host);

	memset(c, 0, sizeof(*c));
	answers[0] = 0;
	c->in = answers;
	c->pcb = tcp_new();
	assert_non_null(c->pcb);
	tcp_arg(c->pcb, c);
	tcp_recv(c->pcb, on_receive);
	tcp_err(c->pcb, on_error);
	assert_int_equal(tcp_bind(c->pcb, &from, 0), ERR_OK);
	assert_int_equal(tcp_connect(c->pcb, netif_ip_addr4(&netif), PORT, on_connected), ERR_OK);
	settle(c);
	assert_true(c->connected);
}

static inline void call(struct client *c)
{
	call_from(c, 15);
}

static inline void say(struct client *c, const void *bytes, size_t len)
{
	c->out = bytes;
	c->out_len = len;
	settle(c);
}

static inline void say_text(struct client *c, const char *text)
{
	say(c, text, strlen(text));
}

/* Send the client's last data, and close its direction. */
static inline void say_last(struct client *c, const char *text)
{
	c->out = (const u8 *)text;
	c->out_len = strlen(text);
	client_send(c);
	tcp_shutdown(c->pcb, 0, 1);
	settle(c);
}

static inline void leave(struct client *c)
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

static inline void vanish(struct client *c)
{
	struct tcp_pcb *pcb = c->pcb;

	tcp_err(pcb, NULL);
	c->pcb = NULL;
	tcp_abort(pcb);
	settle(NULL);
}

/* The host is gone: it sends nothing any more, no reset either. */
static inline void lose(struct client *c, u8 host)
{
	vanished[host] = true;
	tcp_err(c->pcb, NULL);
	tcp_abandon(c->pcb, 0);
	c->pcb = NULL;
	settle(NULL);
	vanished[host] = false;
}

static inline u32 used_by_lwip(void)
{
	return (u32)lwip_stats.mem.used;
}

static inline void assert_answer(const struct client *c, const char *part)
{
	if (!strstr(c->in, part))
		fail_msg("no %s in %.300s", part, c->in);
}

static inline u32 answers_in(const struct client *c, const char *part)
{
	u32 n = 0;

	for (const char *p = c->in; (p = strstr(p, part)); p++)
		n++;
	return n;
}

/* ---- each test begins and ends with nothing open and no page in use ---- */

static inline int setup(void **state)
{
	u64 time = arch_time_us();

	(void)state;
	engine_setup();
	fake_time_set(time, clock_step);
	return 0;
}

static inline u32 connections(void)
{
	struct http_stats s;

	http_stats(&s);
	return s.connections;
}

static inline int teardown(void **state)
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

/* ---- uploads ---- */

static u8 body[3 << 20] __attribute__((unused));

static inline void begin_upload_from(struct client *c, u8 host, size_t size, const char *more)
{
	static char head[256];

	call_from(c, host);
	snprintf(head, sizeof(head),
		 "POST /v1/patches HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n%s\r\n", size,
		 more);
	say_text(c, head);
}

static inline void begin_upload(struct client *c, size_t size, const char *more)
{
	begin_upload_from(c, 15, size, more);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
