/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * HTTP/1.1 over lwIP's altcp: connections, their memory and their time limits. Requests are handled
 * by api.h. docs/api.md says why lwIP's httpd is not used. Service CPU, lwIP's only context.
 */
#ifndef API_HTTP_H
#define API_HTTP_H

#include "lib/types.h"

struct engine;

/*
 * Listen on the port, on every address of ours, for requests about e; tls: they come by TLS, which
 * tls_init() has prepared. lwIP runs. 0, -ENOMEM, or -EADDRINUSE.
 */
int http_listen(struct engine *e, u16 port, bool tls);

struct http_stats {
	u64 good, refused, failed; /* answers with status 2xx, 4xx, 5xx */
	u32 connections;	   /* open now */
	/* of `refused`: the client's certificate has had its share of places, or of requests */
	u64 over_places, over_requests;
};
void http_stats(struct http_stats *s);

#endif
