/* SPDX-License-Identifier: BSD-2-Clause */
#include "api/request.h"
#include "lib/errno.h"
#include "lib/string.h"

static char lower_case(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool http_token_is(const char *s, const char *lower)
{
	while (*s && lower_case(*s) == *lower)
		s++, lower++;
	return !*s && !*lower;
}

/* Decimal digits and nothing else. False also when it does not fit. */
static bool parse_u64(const char *s, size_t len, u64 *v)
{
	u64 n = 0;

	if (!len || len > 18)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		n = n * 10 + (u64)(s[i] - '0');
	}
	*v = n;
	return true;
}

int http_query_u64(const struct http_request *rq, const char *name, u64 *value)
{
	size_t name_len = strlen(name);

	for (const char *p = rq->query, *end; *p; p = end + (*end == '&')) {
		end = strchr(p, '&');
		if (!end)
			end = p + strlen(p);
		if (!strncmp(p, name, name_len) && p[name_len] == '=')
			return parse_u64(p + name_len + 1, (size_t)(end - p) - name_len - 1, value)
				       ? 0
				       : -EINVAL;
	}
	return 0;
}

/* RFC 9110, 5.6.2: the characters of a method or of a header's name */
static bool is_token(const char *s)
{
	if (!*s)
		return false;
	for (; *s; s++)
		if (*s <= ' ' || *s >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", *s))
			return false;
	return true;
}

static const struct {
	const char *name;
	enum http_method method;
} methods[] = {
	{"GET", HTTP_GET}, {"HEAD", HTTP_HEAD}, {"POST", HTTP_POST}, {"DELETE", HTTP_DELETE}};

/* Cut s at the first c. Returns what is behind it, NULL if there is no c. */
static char *cut_at(char *s, char c)
{
	char *at = strchr(s, c);

	if (!at)
		return NULL;
	*at = 0;
	return at + 1;
}

static u16 parse_request_line(struct http_request *rq, char *line, const char **why)
{
	char *target = cut_at(line, ' ');
	char *version = target ? cut_at(target, ' ') : NULL;
	char *query;

	*why = "the request line is not METHOD PATH HTTP/1.1";
	if (!version || !is_token(line))
		return 400;
	if (strcmp(version, "HTTP/1.1") && strcmp(version, "HTTP/1.0")) {
		*why = "only HTTP/1.1 and HTTP/1.0 are spoken here";
		return strncmp(version, "HTTP/", 5) || strlen(version) != 8 ? 400 : 505;
	}
	rq->minor = (u8)(version[7] - '0');
	rq->keep_alive = rq->minor == 1;
	rq->method = HTTP_OTHER;
	rq->method_name = line;
	for (u32 i = 0; i < ARRAY_SIZE(methods); i++)
		if (!strcmp(line, methods[i].name))
			rq->method = methods[i].method;
	/* the absolute form, as a proxy sends it */
	if (!strncmp(target, "http://", 7))
		target = strchr(target + 7, '/');
	if (!target || *target != '/') {
		*why = "the request's target does not begin with '/'";
		return 400;
	}
	query = cut_at(target, '?');
	rq->path = target;
	rq->query = query ? query : "";
	return 0;
}

static const char *take_length(struct http_request *rq, const char *value)
{
	/* two lengths allow request smuggling through a proxy (RFC 9112, 6.3) */
	if (rq->has_length)
		return "Content-Length is there twice";
	rq->has_length = true;
	if (!parse_u64(value, strlen(value), &rq->content_length))
		return "Content-Length is not a number";
	return NULL;
}

static const char *take_connection(struct http_request *rq, char *value)
{
	for (char *next; value; value = next) {
		next = cut_at(value, ',');
		while (*value == ' ' || *value == '\t')
			value++;
		if (http_token_is(value, "close"))
			rq->keep_alive = false;
		else if (http_token_is(value, "keep-alive"))
			rq->keep_alive = true;
	}
	return NULL;
}

/* Returns a description of the error, or NULL. */
static const char *take_header(struct http_request *rq, char *line, bool *host)
{
	char *value = cut_at(line, ':');

	/* this also refuses a space before the colon and continued lines (RFC 9112, 5.1, 5.2) */
	if (!value || !is_token(line))
		return "a header line is not NAME: VALUE";
	while (*value == ' ' || *value == '\t')
		value++;
	for (size_t n = strlen(value); n && (value[n - 1] == ' ' || value[n - 1] == '\t'); n--)
		value[n - 1] = 0;
	if (http_token_is(line, "content-length"))
		return take_length(rq, value);
	if (http_token_is(line, "connection"))
		return take_connection(rq, value);
	if (http_token_is(line, "transfer-encoding"))
		rq->chunked = true;
	else if (http_token_is(line, "content-type"))
		rq->content_type = value;
	else if (http_token_is(line, "origin"))
		rq->origin = true;
	else if (http_token_is(line, "host"))
		*host = true;
	else if (http_token_is(line, "expect"))
		*(http_token_is(value, "100-continue") ? &rq->expect_continue : &rq->expect_other) =
			true;
	return NULL;
}

/* True if only CRLF ends lines, and the head has no other control character than the tab. */
static bool is_clean(const char *head, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		u8 c = (u8)head[i];

		if (c == '\r'	? i + 1 == len || head[i + 1] != '\n'
		    : c == '\n' ? !i || head[i - 1] != '\r'
				: (c < ' ' && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

u16 http_parse(struct http_request *rq, char *head, size_t len, const char **why)
{
	bool host = false;
	char *line = head, *next;
	u16 status;

	memset(rq, 0, sizeof(*rq));
	rq->method = HTTP_OTHER;
	rq->method_name = rq->path = rq->query = rq->content_type = "";
	*why = "a control character in the request's head";
	if (len < 4 || memcmp(head + len - 4, "\r\n\r\n", 4) || !is_clean(head, len))
		return 400;
	head[len - 2] = 0; /* the empty line */
	next = cut_at(line, '\r') + 1;
	status = parse_request_line(rq, line, why);
	if (status)
		return status;
	for (line = next; *line; line = next) {
		next = cut_at(line, '\r') + 1;
		*why = take_header(rq, line, &host);
		if (*why)
			return 400;
	}
	if (rq->chunked && rq->has_length) {
		*why = "both Content-Length and Transfer-Encoding";
		return 400;
	}
	if (!host && rq->minor == 1) {
		*why = "HTTP/1.1 without a Host header";
		return 400;
	}
	return 0;
}
