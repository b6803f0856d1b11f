/* SPDX-License-Identifier: BSD-2-Clause */
#include "api/connection.h"
#include "arch/time.h"
#include "core/checkpoint.h"
#include "core/pool.h"
#include "lib/errno.h"
#include "lib/string.h"

/* Time limits, in microseconds */
#define HEAD_US	     10000000u	/* to send request line and headers, or to stay idle */
#define BODY_STEP_US 10000000u	/* between two pieces of a body */
#define BODY_US	     120000000u /* for all of it */
#define SEND_STEP_US 20000000u	/* between two acknowledgements of an answer */
#define LINGER_US    5000000u	/* for the client to close after a refusal */

/*
 * An answer first gets this much memory. If it does not fit, the handler is called again with more.
 */
#define REPLY_PAGES	16u
#define REPLY_PAGES_MAX 1024u

static struct answer_counts answers;
static const struct connection *uploading; /* the connection that has a body in memory */

struct answer_counts connection_answers(void)
{
	return answers;
}

void connection_count(u16 status)
{
	if (status < 400)
		answers.good++;
	else if (status < 500)
		answers.refused++;
	else
		answers.failed++;
}

static size_t pages_for(size_t bytes)
{
	return ALIGN_UP(bytes, PAGE_SIZE) / PAGE_SIZE;
}

static void set_limit(struct connection *c, u64 us)
{
	c->deadline_us = arch_time_us() + us;
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

/* Close the connection; lwIP delivers what is queued. */
void connection_close(struct connection *c)
{
	struct altcp_pcb *pcb = c->pcb;

	altcp_arg(pcb, NULL);
	if (altcp_close(pcb) == ERR_OK)
		connection_release(c);
	else
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
	if (!c->last) {
		c->state = HEAD;
		c->head_len = 0;
		c->rq.method = HTTP_OTHER;
		set_limit(c, HEAD_US);
		return;
	}
	c->state = LINGER;
	set_limit(c, LINGER_US);
	if (altcp_shutdown(c->pcb, 0, 1) != ERR_OK)
		connection_close(c);
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
	c->state = SEND;
	connection_count(r->status);
	free_body(c);
	set_limit(c, SEND_STEP_US);
	push_reply(c);
}

/* Refuse the request and end the connection: the client may still be sending a body. */
static void refuse_request(struct connection *c, u16 status, int err, const char *why)
{
	struct api_reply r;

	c->last = true;
	if (!make_room(c, PAGE_SIZE, &r)) {
		connection_close(c);
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

/*
 * Memory for a body. One body at a time, and an eighth of the pool stays free for the monitor's own
 * work, so that an upload cannot keep it from patching.
 */
static bool begin_body(struct connection *c)
{
	size_t need = pages_for(c->rq.content_length);
	struct pool_stats s;

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
	c->state = BODY;
	c->body_until_us = arch_time_us() + BODY_US;
	set_limit(c, BODY_STEP_US);
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
	c->last = !c->rq.keep_alive;
	if (!make_room(c, PAGE_SIZE, &r)) {
		connection_close(c);
		return;
	}
	c->route = api_route(&c->rq, &r);
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
		set_limit(c, HEAD_US);
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
	c->deadline_us = MIN(arch_time_us() + BODY_STEP_US, c->body_until_us);
	if (c->body_got == c->body.size)
		answer_request(c);
}

err_t connection_work(struct connection *c)
{
	if (c->state == SEND)
		push_reply(c);
	while (c->rx && c->state != SEND) {
		if (c->state == HEAD)
			take_head(c);
		else if (c->state == BODY)
			take_body(c);
		else
			consume_bytes(c, c->rx->tot_len);
	}
	/* a client that has closed only its own side still expects the answer */
	if (c->peer_closed && c->state != SEND && c->state != FREE)
		connection_close(c);
	return c->aborted ? ERR_ABRT : ERR_OK;
}

err_t connection_timeout(struct connection *c)
{
	if ((c->state == HEAD && c->head_len) || c->state == BODY)
		refuse_request(c, 408, -ETIMEDOUT, "the request did not arrive in time");
	else if (c->state == SEND)
		cut_off(c);
	else
		connection_close(c);
	return c->aborted ? ERR_ABRT : ERR_OK;
}

void connection_progress(struct connection *c)
{
	if (c->state == SEND)
		set_limit(c, SEND_STEP_US);
}

void connection_open(struct connection *c, struct altcp_pcb *pcb, struct engine *e)
{
	memset(c, 0, sizeof(*c));
	c->engine = e;
	c->pcb = pcb;
	c->state = HEAD;
	set_limit(c, HEAD_US);
}
