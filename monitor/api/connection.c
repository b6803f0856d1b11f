/* SPDX-License-Identifier: BSD-2-Clause */
#include "api/connection.h"
#include "arch/time.h"
#include "core/checkpoint.h"
#include "core/pool.h"
#include "lib/errno.h"
#include "lib/string.h"
#include "tls/tls.h"

/*
 * Time limits of the states, in microseconds. A body and an answer get a second more for each
 * PACE bytes that have moved.
 */
static const u32 limit_us[] = {
	[HEAD] = 10000000,  /* to send request line and headers, or to stay idle */
	[BODY] = 10000000,  /* for a body, besides its pace */
	[SEND] = 20000000,  /* for an answer, besides its pace */
	[LINGER] = 5000000, /* for the client to take the rest of its answer, and to close */
};
#define PACE	    65536u
#define PATIENCE_US 1000000u /* behind its pace by more, a connection makes room for another */

#define REQUESTS_AT_ONCE                                                                           \
	8u /* answered in one go; the others when these answers are acknowledged                   \
	    */

/*
 * An answer first gets this much memory. If it does not fit, the handler is called again with more.
 */
#define REPLY_PAGES	16u
#define REPLY_PAGES_MAX 1024u

static struct connection *uploading; /* the connection that has a body in memory */

static size_t pages_for(size_t bytes)
{
	return ALIGN_UP(bytes, PAGE_SIZE) / PAGE_SIZE;
}

static void enter_state(struct connection *c, enum connection_state state)
{
	c->state = state;
	c->begun_us = arch_time_us();
}

/* What has moved of the body or the answer. */
static u64 moved_bytes(const struct connection *c)
{
	return c->state == BODY ? c->body_got : c->state == SEND ? c->reply_sent : 0;
}

/* Is the client so much slower than its pace? */
static bool is_behind(const struct connection *c, u32 us)
{
	return arch_time_us() >= c->begun_us + us + moved_bytes(c) * 1000000 / PACE;
}

bool connection_gives_way(const struct connection *c)
{
	return c->state == HEAD || c->state == LINGER || is_behind(c, PATIENCE_US);
}

/* ---- memory of a connection: every end of a connection calls connection_release() ---- */

static void free_body(struct connection *c)
{
	if (c->body.data)
		checkpoint_free(c->body.data, pages_for(c->body.size));
	if (uploading == c)
		uploading = NULL;
	c->body = (struct api_body){0};
	c->body_got = 0;
}

static void free_reply(struct connection *c)
{
	if (c->reply)
		pool_free(c->reply, c->reply_pages);
	c->reply = NULL;
	c->reply_pages = c->reply_len = c->reply_sent = 0;
}

void connection_release(struct connection *c)
{
	free_body(c);
	free_reply(c);
	if (c->rx)
		pbuf_free(c->rx);
	c->rx = NULL;
	c->pcb = NULL;
	c->state = FREE;
}

/* End the connection with a reset and free what belongs to it. */
static void cut_off(struct connection *c)
{
	struct altcp_pcb *pcb = c->pcb;

	connection_release(c);
	altcp_arg(pcb, NULL); /* otherwise on_error() would release it again */
	altcp_abort(pcb);
	c->aborted = true;
}

/* The client has acknowledged all that was sent. */
static bool is_delivered(const struct connection *c)
{
	return !altcp_sndqueuelen(c->pcb);
}

void connection_end(struct connection *c)
{
	struct altcp_pcb *pcb = c->pcb;

	if (c->state == SEND || !is_delivered(c)) {
		cut_off(c);
		return;
	}
	altcp_setprio(pcb, TCP_PRIO_MIN); /* where TCP has no room it gives way to a new one */
	altcp_arg(pcb, NULL);
	if (altcp_close(pcb) == ERR_OK)
		connection_release(c);
	else
		cut_off(c);
}

/* Close our direction. The connection ends when all is delivered and the client has closed. */
static void begin_linger(struct connection *c)
{
	enter_state(c, LINGER);
	if (altcp_shutdown(c->pcb, 0, 1) != ERR_OK)
		cut_off(c);
}

/* ---- answers ---- */

/* Pass as much of the remaining answer to TCP as it accepts. */
static void push_reply(struct connection *c)
{
	while (c->reply_sent < c->reply_len) {
		size_t left = c->reply_len - c->reply_sent;
		size_t n = MIN(left, (size_t)altcp_sndbuf(c->pcb));
		u8_t flags = TCP_WRITE_FLAG_COPY | (n < left ? TCP_WRITE_FLAG_MORE : 0);

		if (!n || altcp_write(c->pcb, c->reply + c->reply_sent, (u16_t)n, flags) != ERR_OK)
			break; /* the next acknowledgement makes room */
		c->reply_sent += n;
	}
	altcp_output(c->pcb);
	if (c->reply_sent < c->reply_len)
		return;
	free_reply(c);
	if (c->last) {
		begin_linger(c);
		return;
	}
	enter_state(c, HEAD);
	c->head_len = 0;
	c->rq.method = HTTP_OTHER;
}

/* Room for an answer of `room` bytes behind its headers. False: there is none. */
static bool make_room(struct connection *c, size_t room, struct api_reply *r)
{
	free_reply(c);
	c->reply_pages = pages_for(HTTP_HEADERS_MAX + room);
	c->reply = c->reply_pages <= REPLY_PAGES_MAX ? pool_alloc(c->reply_pages) : NULL;
	if (!c->reply)
		c->reply_pages = 0;
	*r = (struct api_reply){
		.out = {.buf = c->reply + HTTP_HEADERS_MAX,
			.size = c->reply ? c->reply_pages * PAGE_SIZE - HTTP_HEADERS_MAX : 0},
	};
	return c->reply;
}

/*
 * Put the headers before the text, which begins at HTTP_HEADERS_MAX, and begin to send. The length
 * of the headers depends on that of the text, so the headers are written last and end where the
 * text begins.
 */
static void send_reply(struct connection *c, const struct api_reply *r)
{
	char headers[HTTP_HEADERS_MAX];
	size_t body = c->rq.method == HTTP_HEAD ? 0 : r->out.len;
	size_t len = http_headers(headers, sizeof(headers), r, !c->last);

	memmove(c->reply + len, c->reply + HTTP_HEADERS_MAX, body);
	memcpy(c->reply, headers, len);
	c->reply_len = len + body;
	enter_state(c, SEND);
	connection_count(r->status);
	free_body(c);
	push_reply(c);
}

/* Refuse the request and end the connection: the client may still be sending a body. */
static void refuse_request(struct connection *c, u16 status, int err, const char *why)
{
	struct api_reply r;

	c->last = true;
	if (!make_room(c, PAGE_SIZE, &r)) {
		cut_off(c);
		return;
	}
	api_error(&r, status, err, "%s", why);
	send_reply(c, &r);
}

static void answer_request(struct connection *c)
{
	size_t room = REPLY_PAGES * PAGE_SIZE - HTTP_HEADERS_MAX;
	struct api_reply r;

	for (;;) {
		if (!make_room(c, room, &r)) {
			refuse_request(
				c, 507, -ENOMEM,
				"no memory for the answer: memory= in suture.conf is too small");
			return;
		}
		api_answer(c->engine, c->route, &c->rq, &c->body, &r);
		/* What the operator is told has begun must not be lost. */
		if (!api_repeatable(c->route) && r.status < 400)
			checkpoint_take();
		if (out_fits(&r.out))
			break;
		room = r.out.len;
		if (!api_repeatable(c->route)) { /* carried out; the answer alone is lost */
			r.out.len = r.out.size;
			break;
		}
	}
	send_reply(c, &r);
}

/* ---- requests ---- */

static void refuse_late(struct connection *c)
{
	refuse_request(c, 408, -ETIMEDOUT, "the request did not arrive in time");
}

/*
 * Memory for a body. One body at a time, unless it comes too slowly; and an eighth of the pool
 * stays free for the monitor's own work, so that an upload cannot keep it from patching.
 */
static bool begin_body(struct connection *c)
{
	size_t need = pages_for(c->rq.content_length);
	struct pool_stats s;

	if (uploading && is_behind(uploading, PATIENCE_US))
		refuse_late(uploading);
	if (uploading) {
		refuse_request(c, 503, -EAGAIN,
			       "another upload is under way: try again in a moment");
		return false;
	}
	pool_stats(&s);
	if (s.used_pages + need <= s.total_pages - s.total_pages / 8)
		c->body.data = pool_alloc(need);
	if (!c->body.data) {
		refuse_request(c, 507, -ENOMEM,
			       "no memory for the bundle: revert patches, or boot with a larger "
			       "memory= in "
			       "suture.conf");
		return false;
	}
	uploading = c;
	c->body.size = c->rq.content_length;
	c->body_got = 0;
	enter_state(c, BODY);
	return true;
}

static void begin_request(struct connection *c)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	struct api_reply r;
	const char *why;
	u16 status = http_parse(&c->rq, c->head, c->head_len, &why);

	if (status) {
		refuse_request(c, status, status == 505 ? -EPROTO : -EINVAL, why);
		return;
	}
	c->rq.role = tls_role(c->pcb);
	c->rq.client = tls_name(c->pcb);
	c->last = !c->rq.keep_alive;
	if (!make_room(c, PAGE_SIZE, &r)) {
		cut_off(c);
		return;
	}
	c->route = connection_is_over_limit(c, &r) ? NULL : api_route(&c->rq, &r);
	if (!c->route) {
		if (c->rq.content_length || c->rq.chunked)
			c->last = true;
		send_reply(c, &r);
		return;
	}
	free_reply(c);
	if (!c->rq.content_length) {
		answer_request(c);
	} else if (begin_body(c) && c->rq.expect_continue && !c->rx) {
		/* only a hint: without it a client continues after a timeout */
		altcp_write(c->pcb, go_on, sizeof(go_on) - 1, TCP_WRITE_FLAG_COPY);
		altcp_output(c->pcb);
	}
}

/* Drop n received bytes, and let the peer send as many more. */
static void consume_bytes(struct connection *c, size_t n)
{
	c->rx = pbuf_free_header(c->rx, (u16_t)n);
	altcp_recved(c->pcb, (u16_t)n);
}

static void take_head(struct connection *c)
{
	size_t before = c->head_len, end;
	size_t n = MIN((size_t)c->rx->tot_len, sizeof(c->head) - before);

	if (!before)
		c->begun_us = arch_time_us();
	pbuf_copy_partial(c->rx, c->head + before, (u16_t)n, 0);
	for (end = MAX(before, (size_t)3) + 1; end <= before + n; end++)
		if (!memcmp(c->head + end - 4, "\r\n\r\n", 4))
			break;
	c->head_len = MIN(end, before + n);
	consume_bytes(c, c->head_len - before);
	if (end <= before + n)
		begin_request(c);
	else if (c->head_len == sizeof(c->head))
		refuse_request(c, 431, -E2BIG, "request line and headers are larger than 4 KiB");
}

static void take_body(struct connection *c)
{
	size_t n = MIN((size_t)c->rx->tot_len, c->body.size - c->body_got);

	pbuf_copy_partial(c->rx, (u8 *)c->body.data + c->body_got, (u16_t)n, 0);
	c->body_got += n;
	consume_bytes(c, n);
	if (c->body_got == c->body.size)
		answer_request(c);
}

err_t connection_work(struct connection *c)
{
	u64 until = connection_answer_sum() + REQUESTS_AT_ONCE;

	if (c->state == SEND)
		push_reply(c);
	while (c->rx && c->state != SEND && connection_answer_sum() < until) {
		if (c->state == HEAD)
			take_head(c);
		else if (c->state == BODY)
			take_body(c);
		else
			consume_bytes(c, c->rx->tot_len);
	}
	/* a client that has closed only its own side still expects the answer */
	if (c->peer_closed && !c->rx && c->state != SEND && c->state != FREE) {
		if (is_delivered(c))
			connection_end(c);
		else if (c->state != LINGER)
			begin_linger(c);
	}
	return c->aborted ? ERR_ABRT : ERR_OK;
}

err_t connection_receive(struct connection *c, struct pbuf *p)
{
	if (p && c->rx)
		return ERR_MEM;
	if (p)
		c->rx = p;
	else
		c->peer_closed = true;
	return connection_work(c);
}

err_t connection_check_time(struct connection *c)
{
	if (!is_behind(c, limit_us[c->state]))
		return connection_work(c);
	if ((c->state == HEAD && c->head_len) || c->state == BODY)
		refuse_late(c);
	else
		connection_end(c);
	return c->aborted ? ERR_ABRT : ERR_OK;
}

void connection_open(struct connection *c, struct altcp_pcb *pcb, struct engine *e)
{
	memset(c, 0, sizeof(*c));
	c->engine = e;
	c->pcb = pcb;
	c->address = ip4_addr_get_u32(ip_2_ip4(altcp_get_ip(pcb, 0)));
	enter_state(c, HEAD);
}
