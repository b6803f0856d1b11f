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
 * A connection repeats HEAD -> (BODY ->) SEND -> HEAD, or ends in LINGER: the answer is passed to
 * TCP and our direction is closed, and what the client still sends is received and discarded,
 * because a reset could make the client lose the answer. A connection ends when the client has
 * acknowledged all of its answer, so that no memory is held by what is not a connection any more.
 */
enum connection_state { FREE, HEAD, BODY, SEND, LINGER };

struct connection {
	enum connection_state state;
	struct engine *engine; /* what requests are about */
	struct altcp_pcb *pcb;
	bool aborted;	  /* the callback must return ERR_ABRT to lwIP */
	bool last;	  /* close after this answer */
	bool peer_closed; /* the client sends no more */
	u32 address;	  /* the client's */
	u64 begun_us;	  /* the state; HEAD: the first byte, once it is there */
	struct pbuf *rx;  /* received, not yet processed; its bytes still count in the TCP window */

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
 * Process what was received (c->rx) as far as possible, at most eight requests, and send more of an
 * answer. Returns what lwIP's callback must return: ERR_ABRT when the connection was reset
 * meanwhile.
 */
err_t connection_work(struct connection *c);

/*
 * What was received: p, which belongs to the connection from now on, or NULL: the client sends no
 * more. ERR_MEM: p was not taken and lwIP keeps it, since an answer has to be taken first. Else as
 * connection_work().
 */
err_t connection_receive(struct connection *c, struct pbuf *p);

/*
 * Has its time limit passed? Answer 408 if a request is incomplete, and end the connection. Returns
 * as connection_work().
 */
err_t connection_check_time(struct connection *c);

/*
 * May it be ended for the sake of a newcomer? It waits for a request, for the rest of a head, or
 * for the client to close; or the client sends or reads more slowly than 64 KiB a second.
 */
bool connection_gives_way(const struct connection *c);

/*
 * Has the client's certificate its share of connections or requests already (http.c)? Then *r is
 * the answer. One of its other connections may have given way to this one.
 */
bool connection_is_over_limit(struct connection *c, struct api_reply *r);

/* Open a connection on this pcb, for requests about e. */
void connection_open(struct connection *c, struct altcp_pcb *pcb, struct engine *e);

/* End it: with a reset if the client has not acknowledged all of an answer. c is FREE afterwards.
 */
void connection_end(struct connection *c);

/* Free its memory; the pcb has been freed before. c is FREE afterwards. */
void connection_release(struct connection *c);

/*
 * Answers so far (response.c), by the class of their status, and their sum; and the function that
 * counts one sent outside of a connection.
 */
struct answer_counts {
	u64 good, refused, failed; /* 2xx, 4xx, 5xx */
};
struct answer_counts connection_answers(void);
u64 connection_answer_sum(void);
void connection_count(u16 status);

#endif
