/* SPDX-License-Identifier: BSD-2-Clause */
/* Routing, refusals, and the routes that change something. */
#include "api/api.h"
#include "lib/errno.h"
#include "lib/format.h"
#include "lib/string.h"
#include "core/audit.h"
#include "core/checkpoint.h"
#include "core/log.h"
#include "core/reset.h"
#include "patch/bundle.h"
#include "patch/engine/engine.h"
#include "tls/intake.h"
#include "tls/platform.h"
#include "tls/tls.h"

static void take_upload(struct engine *e, const struct http_request *rq, struct api_body *body,
			struct api_reply *reply);
static void remove_records(struct engine *e, const char *name, struct api_reply *reply);
static int begin_revert(struct engine *e, const struct http_request *rq, const char *name,
			char *why, size_t why_size);

/*
 * A path is compared literally; a `*` in it stands for one name. Exactly one of the functions is
 * set.
 */
struct api_route {
	enum http_method method;
	const char *path;
	api_show_fn *show;
	void (*text)(const struct engine *e, struct api_reply *reply);
	/* the engine's function that begins an operation on a patch */
	int (*begin)(struct engine *e, const char *name, char *why, size_t why_size);
	/* the same, with the request's parameters */
	int (*begin_with)(struct engine *e, const struct http_request *rq, const char *name,
			  char *why, size_t why_size);
	void (*take)(struct engine *e, const struct http_request *rq, struct api_body *body,
		     struct api_reply *reply);
	void (*remove)(struct engine *e, const char *name, struct api_reply *reply); /* "": all */
	void (*machine)(const struct http_request *rq, struct api_reply *reply);
};

static void begin_reset(const struct http_request *rq, struct api_reply *reply);

static const struct api_route routes[] = {
	{HTTP_GET, "/v1/status", .show = api_status},
	{HTTP_GET, "/v1/info", .show = api_info},
	{HTTP_GET, "/v1/patches", .show = api_patches},
	{HTTP_POST, "/v1/patches", .take = take_upload},
	{HTTP_DELETE, "/v1/patches", .remove = remove_records},
	{HTTP_GET, "/v1/patches/*", .show = api_patch},
	{HTTP_DELETE, "/v1/patches/*", .remove = remove_records},
	{HTTP_POST, "/v1/patches/*/revert", .begin_with = begin_revert},
	{HTTP_POST, "/v1/patches/*/rollback", .begin = engine_rollback},
	{HTTP_POST, "/v1/patches/*/cancel", .begin = engine_cancel},
	{HTTP_POST, "/v1/reboot", .machine = begin_reset},
	{HTTP_GET, "/v1/shadow", .show = api_shadow},
	{HTTP_GET, "/v1/log", .show = api_log},
	{HTTP_GET, "/v1/audit", .show = api_audit},
	{HTTP_GET, "/metrics", .text = api_metrics},
};

/* Open and close the one object that is the answer in JSON. */
static struct json open_object(struct api_reply *reply)
{
	struct json j = {&reply->out, false};

	json_object(&j, NULL);
	return j;
}

static void close_object(struct json *j)
{
	json_object_end(j);
	out_bytes(j->out, "\n", 1);
}

void api_error(struct api_reply *reply, u16 status, int err, const char *fmt, ...)
{
	char message[REASON_LEN + 128];
	struct json j;
	va_list ap;

	va_start(ap, fmt);
	vformat(message, sizeof(message), fmt, ap);
	va_end(ap);
	reply->status = status;
	reply->type = "application/json";
	reply->out.len = 0;
	j = open_object(reply);
	json_object(&j, "error");
	json_str(&j, "code", errno_name(err));
	json_str(&j, "message", message);
	json_object_end(&j);
	close_object(&j);
}

/* The HTTP status for each error of the engine and of the bundle's parser; any other is 500. */
static const struct {
	int err;
	u16 status;
} statuses[] = {
	{EINVAL, 400}, {EBADMSG, 400},	{EPROTO, 400},	     {EMSGSIZE, 400}, {ENAMETOOLONG, 400},
	{EPERM, 403},  {EACCES, 403},	{EKEYREJECTED, 403}, {ENOENT, 404},   {EEXIST, 409},
	{EBUSY, 409},  {EALREADY, 409}, {ENOEXEC, 409},	     {ENODEV, 409},   {EFBIG, 413},
	{ESRCH, 503},  {EAGAIN, 503},	{ENOMEM, 507},	     {ENOSPC, 507},
};

static void refuse_request(struct api_reply *reply, int err, const char *why)
{
	u16 status = 500;

	for (u32 i = 0; i < ARRAY_SIZE(statuses); i++)
		if (statuses[i].err == -err)
			status = statuses[i].status;
	api_error(reply, status, err, "%s", why);
}

/* True if the path matches the pattern. The part that matches * is copied to name. */
static bool path_fits(const char *pattern, const char *path, char *name, size_t name_size)
{
	size_t n = 0;

	for (; *pattern; pattern++) {
		if (*pattern != '*') {
			if (*path++ != *pattern)
				return false;
			continue;
		}
		for (; *path && *path != '/'; path++) {
			if (n + 1 >= name_size)
				return false;
			name[n++] = *path;
		}
		if (!n)
			return false;
	}
	name[n] = 0;
	return !*path;
}

static const char *method_name(const struct api_route *r)
{
	return r->method == HTTP_POST ? "POST" : r->method == HTTP_DELETE ? "DELETE" : "GET";
}

/* The methods that a path has, for the Allow header: bits by enum http_method. */
static const char *allowed_methods(u32 methods)
{
	static const struct {
		u32 methods;
		const char *text;
	} known[] = {
		{1u << HTTP_GET, "GET, HEAD"},
		{1u << HTTP_POST, "POST"},
		{1u << HTTP_GET | 1u << HTTP_DELETE, "GET, HEAD, DELETE"},
		{1u << HTTP_GET | 1u << HTTP_POST | 1u << HTTP_DELETE, "GET, HEAD, POST, DELETE"},
	};

	for (u32 i = 0; i < ARRAY_SIZE(known); i++)
		if (known[i].methods == methods)
			return known[i].text;
	return "GET, HEAD, POST, DELETE";
}

static void no_such_path(const struct http_request *rq, struct api_reply *reply)
{
	char known[384] = "";
	size_t len = 0;

	for (u32 i = 0; i < ARRAY_SIZE(routes); i++)
		len += (size_t)format(known + len, sizeof(known) - len, "%s%s %s", i ? ", " : "",
				      method_name(&routes[i]), routes[i].path);
	api_error(reply, 404, -ENOENT, "no such path: %.*s%s; there are %s", BRIEF(rq->path, 120),
		  known);
}

/*
 * True if the request may have the body that it announces. Refuses it before a byte of it is read.
 */
static bool body_allowed(const struct api_route *r, const struct http_request *rq,
			 struct api_reply *reply)
{
	if (rq->chunked || (r->take && !rq->has_length))
		api_error(reply, 411, -EINVAL,
			  "send the body with Content-Length, not in chunks: %s %s",
			  rq->method_name, r->path);
	else if (!r->take && rq->content_length)
		api_error(reply, 413, -EFBIG, "%s %s takes no body", rq->method_name, r->path);
	else if (rq->content_length > SUTURE_BUNDLE_MAX)
		api_error(reply, 413, -EFBIG,
			  "the body has %llu bytes: a bundle has at most %u; strip the payload's "
			  "debug information",
			  rq->content_length, SUTURE_BUNDLE_MAX);
	else if (r->take && !rq->content_length)
		api_error(reply, 400, -EMSGSIZE, "the body is empty: send a bundle");
	else if (r->take && *rq->content_type &&
		 !http_token_is(rq->content_type, "application/octet-stream"))
		api_error(reply, 415, -EINVAL,
			  "a bundle is sent as Content-Type: application/octet-stream, not %.*s%s",
			  BRIEF(rq->content_type, 60));
	else
		return true;
	return false;
}

/* Looking changes nothing; what cannot be undone by another request is for an admin. */
static enum tls_role needed_role(const struct api_route *r)
{
	return r->method == HTTP_GET	 ? TLS_ROLE_READ
	       : r->machine || r->remove ? TLS_ROLE_ADMIN
					 : TLS_ROLE_OPERATE;
}

static bool role_allowed(const struct api_route *r, const struct http_request *rq,
			 struct api_reply *reply)
{
	enum tls_role needed = needed_role(r);

	if (rq->role >= needed)
		return true;
	tls_count_refusal(TLS_FORBIDDEN);
	log_limited(LOG_OPERATOR, LOG_WARN, "%s %s refused: '%s' has the role %s, not %s",
		    rq->method_name, r->path, rq->client, tls_role_name(rq->role),
		    tls_role_name(needed));
	api_error(reply, 403, -EACCES,
		  "%s %s needs the role %s; the certificate of '%s' has the role %s (its OU)",
		  rq->method_name, r->path, tls_role_name(needed), rq->client,
		  tls_role_name(rq->role));
	return false;
}

const struct api_route *api_route(const struct http_request *rq, struct api_reply *reply)
{
	enum http_method method = rq->method == HTTP_HEAD ? HTTP_GET : rq->method;
	const struct api_route *found = NULL;
	u32 methods = 0;
	char name[SUTURE_NAME_LEN];

	for (const struct api_route *r = routes; r < routes + ARRAY_SIZE(routes); r++) {
		if (!path_fits(r->path, rq->path, name, sizeof(name)))
			continue;
		methods |= 1u << r->method;
		if (r->method == method)
			found = r;
	}
	if (!methods) {
		no_such_path(rq, reply);
		return NULL;
	}
	if (!found) {
		reply->allow = allowed_methods(methods);
		api_error(reply, 405, -EOPNOTSUPP, "%.*s%s is not for %.*s%s: use %s",
			  BRIEF(rq->method_name, 20), BRIEF(rq->path, 120), reply->allow);
		return NULL;
	}
	/* a browser adds the operator's certificate to requests that any page makes */
	if (rq->origin) {
		api_error(reply, 403, -EPERM, "requests of web pages (Origin header) are refused");
		return NULL;
	}
	if (rq->expect_other) {
		api_error(reply, 417, -EINVAL, "the only Expect known here is 100-continue");
		return NULL;
	}
	return role_allowed(found, rq, reply) && body_allowed(found, rq, reply) ? found : NULL;
}

bool api_repeatable(const struct api_route *route)
{
	return route->method == HTTP_GET;
}

/* 202: the engine has begun; the patch's own path shows the progress. */
static void answer_accepted(struct api_reply *reply, const char *name)
{
	struct json j = open_object(reply);

	reply->status = 202;
	format(reply->location, sizeof(reply->location), "/v1/patches/%s", name);
	json_str(&j, "name", name);
	close_object(&j);
}

/* 200: the same bundle is applied, or on its way. */
static void answer_known(struct api_reply *reply, const char *name)
{
	struct json j = open_object(reply);

	json_str(&j, "name", name);
	json_bool(&j, "already", true);
	close_object(&j);
}

static void take_upload(struct engine *e, const struct http_request *rq, struct api_body *body,
			struct api_reply *reply)
{
	char why[REASON_LEN] = "";
	u64 strict = 0, downgrade = 0;
	struct bundle b;
	int err;

	if (http_query_u64(rq, "strict", &strict) || strict > 1 ||
	    http_query_u64(rq, "downgrade", &downgrade) || downgrade > 1) {
		api_error(reply, 400, -EINVAL, "strict is 0 or 1, and so is downgrade, not ?%.*s%s",
			  BRIEF(rq->query, 60));
		return;
	}
	if (checkpoint_adopt(body->data, ALIGN_UP(body->size, PAGE_SIZE) / PAGE_SIZE)) {
		refuse_request(reply, -ENOMEM, "no memory for the bundle");
		return;
	}
	err = intake_bundle(e, &b, body->data, body->size, downgrade, LOG_OPERATOR, why,
			    sizeof(why));
	if (err > 0) {
		answer_known(reply, b.manifest.name);
		return;
	}
	if (err) {
		refuse_request(reply, err, why);
		return;
	}
	if (strict)
		engine_be_strict(e, b.manifest.name);
	body->data = NULL; /* from here on the engine owns it */
	answer_accepted(reply, b.manifest.name);
}

static void remove_records(struct engine *e, const char *name, struct api_reply *reply)
{
	char why[REASON_LEN] = "";
	int count = engine_clear(e, *name ? name : NULL, why, sizeof(why));
	struct json j;

	if (count < 0) {
		refuse_request(reply, count, why);
		return;
	}
	j = open_object(reply);
	json_u64(&j, "cleared", (u64)count);
	close_object(&j);
}

static void begin_reset(const struct http_request *rq, struct api_reply *reply)
{
	u64 guest = 0;
	struct json j;

	if (http_query_u64(rq, "guest", &guest) || guest != 1) {
		api_error(reply, 400, -EINVAL,
			  "guest=1 is needed: the machine is reset, and its guest is not asked");
		return;
	}
	log_limited(LOG_OPERATOR, LOG_WARN, "reset of the machine asked for");
	reset_soon();
	j = open_object(reply);
	reply->status = 202;
	json_bool(&j, "reset", true);
	close_object(&j);
}

static int begin_revert(struct engine *e, const struct http_request *rq, const char *name,
			char *why, size_t why_size)
{
	u64 below = 0, force = 0;

	if (http_query_u64(rq, "from_below", &below) || http_query_u64(rq, "force", &force) ||
	    below > 1 || force > 1) {
		format(why, why_size, "from_below and force are 0 or 1, not ?%.*s%s",
		       BRIEF(rq->query, 60));
		return -EINVAL;
	}
	if (force && !below) {
		format(why, why_size, "force=1 is for from_below=1 only");
		return -EINVAL;
	}
	return below ? engine_revert_below(e, name, force, why, why_size)
		     : engine_revert(e, name, why, why_size);
}

static void answer_begin(struct engine *e, const struct api_route *route,
			 const struct http_request *rq, const char *name, struct api_reply *reply)
{
	char why[REASON_LEN] = "";
	int err = route->begin ? route->begin(e, name, why, sizeof(why))
			       : route->begin_with(e, rq, name, why, sizeof(why));

	if (err)
		refuse_request(reply, err, why);
	else
		answer_accepted(reply, name);
}

static void answer_show(const struct engine *e, const struct api_route *route,
			const struct http_request *rq, const char *name, struct api_reply *reply)
{
	struct json j = open_object(reply);

	route->show(e, &j, rq, name, reply);
	if (reply->status == 200)
		close_object(&j);
}

/* The hash of the bundle of that patch, as text; "" if there is none. */
static void show_hash(const struct engine *e, const char *name, char text[AUDIT_HASH])
{
	struct patch_info p;

	text[0] = 0;
	for (u32 i = 0; !engine_patch_info(e, i, &p); i++)
		if (p.from_bundle && !strcmp(p.name, name))
			audit_hash(text, p.digest);
}

/* The path of an upload has no name: the answer says where the patch is. */
static void audit_request(const struct engine *e, const struct http_request *rq, const char *name,
			  const struct api_reply *reply)
{
	char what[AUDIT_TEXT], hash[AUDIT_HASH];
	bool upload = !*name && *reply->location;
	const char *patch = upload ? strrchr(reply->location, '/') + 1 : name;

	show_hash(e, patch, hash);
	format(what, sizeof(what), "%s %.*s%s%s%s%s", rq->method_name, BRIEF(rq->path, 100),
	       upload ? " " : "", upload ? patch : "", hash);
	audit_add(tls_utc(), rq->client, what, reply->status);
}

void api_answer(struct engine *e, const struct api_route *route, const struct http_request *rq,
		struct api_body *body, struct api_reply *reply)
{
	char name[SUTURE_NAME_LEN] = "";

	reply->status = 200;
	reply->type = "application/json";
	path_fits(route->path, rq->path, name, sizeof(name));
	if (route->show)
		answer_show(e, route, rq, name, reply);
	else if (route->begin || route->begin_with)
		answer_begin(e, route, rq, name, reply);
	else if (route->take)
		route->take(e, rq, body, reply);
	else if (route->machine)
		route->machine(rq, reply);
	else if (route->remove)
		route->remove(e, name, reply);
	else
		route->text(e, reply);
	if (!api_repeatable(route))
		audit_request(e, rq, name, reply);
}
