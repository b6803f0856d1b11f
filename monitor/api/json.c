/* SPDX-License-Identifier: BSD-2-Clause */
#include "api/json.h"
#include "lib/format.h"
#include "lib/string.h"

void out_bytes(struct out *o, const char *s, size_t len)
{
	if (o->len < o->size)
		memcpy(o->buf + o->len, s, MIN(len, o->size - o->len));
	o->len += len;
}

void out_format(struct out *o, const char *fmt, ...)
{
	char line[512]; /* no caller's format yields more: names in them are bounded */
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vformat(line, sizeof(line), fmt, ap);
	va_end(ap);
	out_bytes(o, line, MIN((size_t)n, sizeof(line) - 1));
}

static void begin_member(struct json *j, const char *key)
{
	if (j->comma)
		out_bytes(j->out, ",", 1);
	j->comma = true;
	if (key)
		out_format(j->out, "\"%s\":", key);
}

static void open_bracket(struct json *j, const char *key, const char *bracket)
{
	begin_member(j, key);
	out_bytes(j->out, bracket, 1);
	j->comma = false;
}

static void close_bracket(struct json *j, const char *bracket)
{
	out_bytes(j->out, bracket, 1);
	j->comma = true;
}

void json_object(struct json *j, const char *key)
{
	open_bracket(j, key, "{");
}

void json_object_end(struct json *j)
{
	close_bracket(j, "}");
}

void json_array(struct json *j, const char *key)
{
	open_bracket(j, key, "[");
}

void json_array_end(struct json *j)
{
	close_bracket(j, "]");
}

void json_strn(struct json *j, const char *key, const char *s, size_t max)
{
	begin_member(j, key);
	out_bytes(j->out, "\"", 1);
	for (size_t i = 0; i < max && s[i]; i++) {
		u8 c = (u8)s[i];

		if (c == '"' || c == '\\')
			out_format(j->out, "\\%c", c);
		else if (c >= 0x20 && c < 0x7f)
			out_bytes(j->out, s + i, 1);
		else
			out_format(j->out, "\\u%04x", c);
	}
	out_bytes(j->out, "\"", 1);
}

void json_str(struct json *j, const char *key, const char *s)
{
	json_strn(j, key, s, strlen(s));
}

void json_u64(struct json *j, const char *key, u64 v)
{
	begin_member(j, key);
	out_format(j->out, "%llu", v);
}

void json_bool(struct json *j, const char *key, bool v)
{
	begin_member(j, key);
	out_format(j->out, "%s", v ? "true" : "false");
}

void json_null(struct json *j, const char *key)
{
	begin_member(j, key);
	out_bytes(j->out, "null", 4);
}

void json_address(struct json *j, const char *key, u64 v)
{
	begin_member(j, key);
	out_format(j->out, "\"0x%llx\"", v);
}

void json_bytes(struct json *j, const char *key, const u8 *bytes, size_t len)
{
	begin_member(j, key);
	out_bytes(j->out, "\"", 1);
	for (size_t i = 0; i < len; i++)
		out_format(j->out, "%02x", bytes[i]);
	out_bytes(j->out, "\"", 1);
}
