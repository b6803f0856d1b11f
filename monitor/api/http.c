/* SPDX-License-Identifier: BSD-2-Clause */
#include "api/http.h"
#include "api/connection.h"
#include "api/limits.h"
#include "lib/errno.h"
#include "lib/mutate.h"
#include "lib/string.h"
#include "lwip/altcp_tcp.h"
#include "tls/tls.h"

#define CONNECTIONS 16
#define PER_ADDRESS (CONNECTIONS / 2)
/* An address can be shared, by a host from which several people operate: */
#define PER_CERTIFICATE (CONNECTIONS / 4)

static struct connection connections[CONNECTIONS];
static u64 over_places, over_requests;

#define END (connections + CONNECTIONS)

/* ---- lwIP's callbacks ---- */

static err_t on_receive(void *arg, struct altcp_pcb *pcb, struct pbuf *p, err_t err)
{
	(void)pcb, (void)err;
	return connection_receive(arg, p);
}

static err_t on_sent(void *arg, struct altcp_pcb *pcb, u16_t len)
{
	(void)pcb, (void)len;
	return connection_work(arg);
}

/* Twice a second */
static err_t on_poll(void *arg, struct altcp_pcb *pcb)
{
	(void)pcb;
	return connection_check_time(arg);
}

/* The connection is gone: reset by the peer, or given up by TCP. */
static void on_error(void *arg, err_t err)
{
	(void)err;
	if (arg)
		connection_release(arg);
}

static u32 count_from(u32 address)
{
	u32 n = 0;

	for (const struct connection *c = connections; c < END; c++)
		n += c->state != FREE && c->address == address;
	return n;
}

/* Of two connections that give way: the one whose address has more, then the one that waits longer.
 */
static bool goes_first(const struct connection *c, const struct connection *than)
{
	u32 n = count_from(c->address), m = count_from(than->address);

	return n > m || (n == m && c->begun_us < than->begun_us);
}

/* Do both belong to clients with one certificate? */
static bool is_same_client(const struct connection *c, const struct connection *other)
{
	const u8 *mine = tls_certificate(c->pcb), *theirs = tls_certificate(other->pcb);

	return mine && theirs && !memcmp(mine, theirs, SHA256_SIZE);
}

/* End a connection that gives way: of this address, or 0: of any; of the client of `of`, but not
 * that one, or NULL: of any. NULL: none does. */
static struct connection *make_place(u32 address, const struct connection *of)
{
	struct connection *first = NULL;

	for (struct connection *c = connections; c < END; c++)
		if (c->state != FREE && (!address || c->address == address) &&
		    (!of || (c != of && is_same_client(c, of))) && connection_gives_way(c) &&
		    (!first || goes_first(c, first)))
			first = c;
	if (first)
		connection_end(first);
	return first;
}

/*
 * A place for a connection from that address; NULL: none. An address that has its share gets one of
 * its own, so that nobody takes all places.
 */
static struct connection *find_place(u32 address)
{
	if (count_from(address) >= PER_ADDRESS)
		return make_place(address, NULL);
	for (struct connection *c = connections; c < END; c++)
		if (c->state == FREE)
			return c;
	return make_place(0, NULL);
}

/* Connections of this client that may still ask for something. */
static u32 count_of(const struct connection *of)
{
	u32 n = 0;

	for (const struct connection *c = connections; c < END; c++)
		n += c->state != FREE && c->state != LINGER && is_same_client(c, of);
	return n;
}

bool connection_is_over_limit(struct connection *c, struct api_reply *r)
{
	const u8 *certificate = tls_certificate(c->pcb);

	if (!certificate)
		return false;
	if (count_of(c) > PER_CERTIFICATE && !MUTATION(place_limit) && !make_place(0, c)) {
		over_places++;
		c->last = true;
		api_error(r, 429, -EAGAIN,
			  "'%s' has %u connections already: close one, or try again in a moment",
			  tls_name(c->pcb), PER_CERTIFICATE);
		return true;
	}
	if (!limits_take(certificate)) {
		over_requests++;
		api_error(r, 429, -EAGAIN,
			  "'%s' asks too often: %u times at once and %u times a second are served",
			  tls_name(c->pcb), LIMITS_AT_ONCE, LIMITS_PER_SECOND);
		return true;
	}
	return false;
}

static err_t on_accept(void *arg, struct altcp_pcb *pcb, err_t err)
{
	static const char full[] = "HTTP/1.1 503 Service Unavailable\r\n"
				   "Content-Type: application/json\r\n"
				   "Connection: close\r\n\r\n"
				   "{\"error\":{\"code\":\"EAGAIN\",\"message\":"
				   "\"too many connections: close one or try again\"}}\n";
	struct connection *c;

	if (err != ERR_OK || !pcb)
		return ERR_VAL;
	c = find_place(ip4_addr_get_u32(ip_2_ip4(altcp_get_ip(pcb, 0))));
	if (!c) {
		connection_count(503);
		altcp_setprio(pcb, TCP_PRIO_MIN);
		altcp_write(pcb, full, sizeof(full) - 1, TCP_WRITE_FLAG_COPY);
		return altcp_close(pcb) == ERR_OK ? ERR_OK : ERR_MEM;
	}
	connection_open(c, pcb, arg);
	altcp_setprio(pcb, TCP_PRIO_NORMAL); /* net_isn() may have lowered it */
	altcp_arg(pcb, c);
	altcp_recv(pcb, on_receive);
	altcp_sent(pcb, on_sent);
	altcp_poll(pcb, on_poll, 1);
	altcp_err(pcb, on_error);
	altcp_nagle_disable(pcb);
	return ERR_OK;
}

int http_listen(struct engine *e, u16 port, bool tls)
{
	struct altcp_pcb *pcb = altcp_tcp_new_ip_type(IPADDR_TYPE_V4), *listener;

	if (!pcb)
		return -ENOMEM;
	if (altcp_bind(pcb, IP4_ADDR_ANY, port) != ERR_OK) {
		altcp_close(pcb);
		return -EADDRINUSE;
	}
	listener = altcp_listen_with_backlog(pcb, CONNECTIONS);
	if (listener)
		pcb = listener;
	if (listener && tls)
		listener = tls_listen(pcb);
	if (!listener) {
		altcp_close(pcb);
		return -ENOMEM;
	}
	altcp_arg(listener, e);
	altcp_accept(listener, on_accept);
	return 0;
}

void http_stats(struct http_stats *s)
{
	struct answer_counts answers = connection_answers();

	*s = (struct http_stats){answers.good, answers.refused, answers.failed, 0,
				 over_places,  over_requests};
	for (const struct connection *c = connections; c < END; c++)
		s->connections += c->state != FREE;
}
