/* SPDX-License-Identifier: BSD-2-Clause */
/* The head of an HTTP/1.1 request (RFC 9112), parsed. Pure logic: no connection, no allocation. */
#ifndef API_REQUEST_H
#define API_REQUEST_H

#include "lib/types.h"
#include "tls/role.h"

#define HTTP_HEAD_MAX 4096 /* request line and headers together */

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_DELETE, HTTP_OTHER };

/* Strings point into the head that was parsed and live as long as it does. */
struct http_request {
	enum http_method method;
	const char *method_name;
	const char *path;  /* begins with '/'; not percent-decoded: no path of ours needs it */
	const char *query; /* behind the '?', "" if there is none */
	const char *content_type; /* "" if there is none */
	u8 minor;		  /* of HTTP/1.x */
	bool has_length, chunked;
	u64 content_length; /* 0 if there is none */
	bool expect_continue, expect_other;
	bool origin;	 /* there is an Origin header: the script of a web page sent this */
	bool keep_alive; /* the client would use the connection again */
	/* not of the head; set by who knows the connection */
	enum tls_role role;
	const char *client; /* its name; "" without TLS */
};

/*
 * Parse head[0..len), which ends with the empty line (CRLF CRLF), in place: separators become
 * zeros. 0, or the HTTP status to refuse with (400 or 505), with the reason in *why.
 */
u16 http_parse(struct http_request *rq, char *head, size_t len, const char **why);

/*
 * The value of a query parameter that is a decimal number: 0 and *value, which stays as it is when
 * the parameter is absent; or -EINVAL.
 */
int http_query_u64(const struct http_request *rq, const char *name, u64 *value);

/* True if s equals `lower` without regard to case. `lower` has no upper-case letters. */
bool http_token_is(const char *s, const char *lower);

#endif
