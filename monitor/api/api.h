/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The API's routes and their handlers: a request goes in, an answer comes out. This part does not
 * deal with connections. docs/api.md is its specification. Service CPU.
 */
#ifndef API_API_H
#define API_API_H

#include "api/json.h"
#include "api/request.h"
#include "patch/engine/engine.h"

/* An answer. The caller provides out.buf; if the text does not fit, out.len says how much it needs.
 */
struct api_reply {
	u16 status;
	const char *type;  /* Content-Type */
	char location[80]; /* Location header, "" for none */
	const char *allow; /* Allow header, NULL for none */
	struct out out;
};

/* The body of a request: `size` bytes in pages of the pool; data is NULL when there is none. */
struct api_body {
	void *data;
	size_t size;
};

struct api_route;

/*
 * Find the route of a request and check all that can be checked before its body is read. NULL:
 * refused, and *reply is the answer.
 */
const struct api_route *api_route(const struct http_request *rq, struct api_reply *reply);

/*
 * Answer the request, which is about the patches of e. A handler that keeps the body sets
 * body->data to NULL; else it stays the caller's.
 */
void api_answer(struct engine *e, const struct api_route *route, const struct http_request *rq,
		struct api_body *body, struct api_reply *reply);

/* True if api_answer() may be called again for the same request, because the answer did not fit. */
bool api_repeatable(const struct api_route *route);

/*
 * Make *reply an error: err is a negative errno; the text is one line that names the object and
 * what to do.
 */
void api_error(struct api_reply *reply, u16 status, int err, const char *fmt, ...)
	__printf_like(4, 5);

/*
 * The head of the HTTP response that carries *reply, up to the empty line. Returns its length;
 * HTTP_HEADERS_MAX bytes are enough for any.
 */
#define HTTP_HEADERS_MAX 512u
size_t http_headers(char *buf, size_t size, const struct api_reply *reply, bool keep_alive);

/* ---- between the files of the API ---- */

/* The id of a state: decimal, but a string, since it may need all 64 bits. */
void api_json_id(struct json *j, const char *key, u64 id);
/* The members of /v1/status that are about patches. */
void api_show_current(const struct engine *e, struct json *j);

/*
 * GET routes: add to *j, which is the object that is the answer, or make *reply an error. `name` is
 * the part of the path that matched *.
 */
typedef void api_show_fn(const struct engine *e, struct json *j, const struct http_request *rq,
			 const char *name, struct api_reply *reply);
api_show_fn api_status, api_info, api_patches, api_patch, api_patch_text, api_shadow, api_log,
	api_audit;
/* The only GET route whose answer is not JSON. */
void api_metrics(const struct engine *e, struct api_reply *reply);

#endif
