/* SPDX-License-Identifier: BSD-2-Clause */
#include "api/http.h"
#include "api/connection.h"
#include "arch/time.h"
#include "lib/errno.h"
#include "lwip/altcp_tcp.h"

#define CONNECTIONS 8

static struct connection connections[CONNECTIONS];

#define END (connections + CONNECTIONS)

/* ---- lwIP's callbacks ---- */

static err_t on_receive(void *arg, struct altcp_pcb *pcb, struct pbuf *p, err_t err)
{
	struct connection *c = arg;

	(void)pcb, (void)err;
	if (!p)
		c->peer_closed = true;
	else if (c->rx)
		pbuf_cat(c->rx, p);
	else
		c->rx = p;
	return connection_work(c);
}

static err_t on_sent(void *arg, struct altcp_pcb *pcb, u16_t len)
{
	(void)pcb, (void)len;
	connection_progress(arg);
	return connection_work(arg);
}

/* Twice a second */
static err_t on_poll(void *arg, struct altcp_pcb *pcb)
{
	struct connection *c = arg;

	(void)pcb;
	if (arch_time_us() >= c->deadline_us)
		return connection_timeout(c);
	return connection_work(c);
}

/* The connection is gone: reset by the peer, or given up by TCP. */
static void on_error(void *arg, err_t err)
{
	(void)err;
	if (arg)
		connection_release(arg);
}

/*
 * A free entry; if there is none, the entry of the connection that has been idle the longest, which
 * is closed.
 */
static struct connection *find_place(void)
{
	struct connection *idle = NULL;

	for (struct connection *c = connections; c < END; c++) {
		if (c->state == FREE)
			return c;
		if (c->state == HEAD && !c->head_len && !c->rx &&
		    (!idle || c->deadline_us < idle->deadline_us))
			idle = c;
	}
	if (idle)
		connection_close(idle);
	return idle;
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
	c = find_place();
	if (!c) {
		connection_count(503);
		altcp_write(pcb, full, sizeof(full) - 1, TCP_WRITE_FLAG_COPY);
		return altcp_close(pcb) == ERR_OK ? ERR_OK : ERR_MEM;
	}
	connection_open(c, pcb, arg);
	altcp_arg(pcb, c);
	altcp_recv(pcb, on_receive);
	altcp_sent(pcb, on_sent);
	altcp_poll(pcb, on_poll, 1);
	altcp_err(pcb, on_error);
	altcp_nagle_disable(pcb);
	return ERR_OK;
}

int http_listen(struct engine *e, u16 port)
{
	struct altcp_pcb *pcb = altcp_tcp_new_ip_type(IPADDR_TYPE_V4), *listener;

	if (!pcb)
		return -ENOMEM;
	if (altcp_bind(pcb, IP4_ADDR_ANY, port) != ERR_OK) {
		altcp_close(pcb);
		return -EADDRINUSE;
	}
	listener = altcp_listen_with_backlog(pcb, CONNECTIONS);
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

	*s = (struct http_stats){answers.good, answers.refused, answers.failed, 0};
	for (const struct connection *c = connections; c < END; c++)
		s->connections += c->state != FREE;
}
