/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One connection: its requests and their answers. http.c has the array of connections and lwIP's
 * callbacks. Service CPU, lwIP's only context.
 */
#ifndef API_CONNECTION_H
#define API_CONNECTION_H

#include "api/api.h"
#include "lwip/altcp.h"

/*
 * A connection repeats HEAD -> (BODY ->) SEND -> HEAD, or ends in LINGER: the answer is sent and
 * our direction is closed, and what the client still sends is received and discarded, because a
 * reset could make the client lose the answer.
 */
enum connection_state { FREE, HEAD, BODY, SEND, LINGER };

struct connection {
	enum connection_state state;
	struct engine *engine; /* what requests are about */
	struct altcp_pcb *pcb;
	bool aborted;	  /* the callback must return ERR_ABRT to lwIP */
	bool last;	  /* close after this answer */
	bool peer_closed; /* the client sends no more */
	u64 deadline_us, body_until_us;
	struct pbuf *rx; /* received, not yet processed; its bytes still count in the TCP window */

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
 * Process what was received (c->rx) as far as possible, and send more of an answer. Returns what
 * lwIP's callback must return: ERR_ABRT when the connection was reset meanwhile.
 */
err_t connection_work(struct connection *c);

/*
 * Its time limit has passed: answer 408 if a request is incomplete, and end the connection. Returns
 * as connection_work().
 */
err_t connection_timeout(struct connection *c);

/* Open a connection on this pcb, for requests about e. */
void connection_open(struct connection *c, struct altcp_pcb *pcb, struct engine *e);

/* Close it: queued data is still delivered. c is FREE afterwards. */
void connection_close(struct connection *c);

/* Free its memory; the pcb has been freed before. c is FREE afterwards. */
void connection_release(struct connection *c);

/* The peer has acknowledged some of the answer: extend the deadline for the rest. */
void connection_progress(struct connection *c);

/*
 * Answers so far, by the class of their status; and the function that counts one sent outside of a
 * connection.
 */
struct answer_counts {
	u64 good, refused, failed; /* 2xx, 4xx, 5xx */
};
struct answer_counts connection_answers(void);
void connection_count(u16 status);

#endif
