/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One connection: the requests that come on it and the answers that go. http.c has the places for
 * them and lwIP's callbacks. Service CPU, lwIP's only context.
 */
#ifndef API_CONNECTION_H
#define API_CONNECTION_H

#include "api/api.h"
#include "lwip/altcp.h"

/*
 * A connection goes round HEAD -> (BODY ->) SEND -> HEAD, or ends in LINGER: the answer is sent and
 * our direction is closed, but what the client still sends is taken and thrown away, because a
 * reset would overtake the answer.
 */
enum connection_state { FREE, HEAD, BODY, SEND, LINGER };

struct connection {
	enum connection_state state;
	struct engine *engine; /* what requests are about */
	struct altcp_pcb *pcb;
	bool aborted;	  /* lwIP must be told in the callback's return value */
	bool last;	  /* close after this answer */
	bool peer_closed; /* the client sends no more */
	u64 deadline_us, body_until_us;
	struct pbuf *rx; /* received, not yet looked at; its bytes stay in the TCP window */

	char head[HTTP_HEAD_MAX];
	size_t head_len;
	struct http_request rq;
	const struct api_route *route;
	struct api_body body;
	size_t body_got;

	char *reply; /* headers and body, reply_pages of the pool */
	size_t reply_pages, reply_len, reply_sent;
};

/*
 * Work on what was received (c->rx), as far as it goes, and hand on what is left of an answer.
 * Returns what lwIP's callback must return: ERR_ABRT when the connection was reset meanwhile.
 */
err_t connection_work(struct connection *c);

/* Its time is over: say so where a request was under way, and end it. As connection_work(). */
err_t connection_timeout(struct connection *c);

/* A new one on this pcb, for requests about e. */
void connection_open(struct connection *c, struct altcp_pcb *pcb, struct engine *e);

/* Close it: what is queued is still delivered. c is FREE afterwards. */
void connection_close(struct connection *c);

/* Give its memory back; the pcb is gone already. c is FREE afterwards. */
void connection_release(struct connection *c);

/* The peer has taken some of the answer: more time for the rest. */
void connection_progress(struct connection *c);

/* Answers so far, by the class of their status; and one that no connection gave. */
struct answer_counts {
	u64 good, refused, failed; /* 2xx, 4xx, 5xx */
};
struct answer_counts connection_answers(void);
void connection_count(u16 status);

#endif
