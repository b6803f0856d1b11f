/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Text into a bounded buffer, and JSON (RFC 8259) on top of it. Pure logic, no allocation. Text
 * beyond the end is dropped, but counted in `len`, so that the caller learns how much room the text
 * needs.
 */
#ifndef API_JSON_H
#define API_JSON_H

#include "lib/types.h"

struct out {
	char *buf;
	size_t size;
	size_t len; /* wanted; what does not fit in size is not stored */
};

/* True if the whole text is in the buffer. */
static inline bool out_fits(const struct out *o)
{
	return o->len <= o->size;
}

void out_bytes(struct out *o, const char *s, size_t len);
void out_format(struct out *o, const char *fmt, ...) __printf_like(2, 3);

/*
 * JSON. The writer adds the commas. `key` is the member's name, NULL for an element of an array or
 * the outermost value; it is a literal of ours and not escaped.
 */
struct json {
	struct out *out;
	bool comma; /* a value precedes: the next one needs a comma */
};

void json_object(struct json *j, const char *key);
void json_object_end(struct json *j);
void json_array(struct json *j, const char *key);
void json_array_end(struct json *j);

/*
 * A string of at most `max` bytes, up to its zero if there is one. Any byte is allowed in it:
 * quotes, backslashes, control characters and bytes above 0x7e come out as escapes, each byte by
 * itself (the guest's names are bytes, not UTF-8 that could be trusted).
 */
void json_strn(struct json *j, const char *key, const char *s, size_t max);
void json_str(struct json *j, const char *key, const char *s);

void json_u64(struct json *j, const char *key, u64 v);
void json_bool(struct json *j, const char *key, bool v);
void json_null(struct json *j, const char *key);
/* "0x...": a string, because JSON's numbers lose bits above 2^53 in many readers */
void json_address(struct json *j, const char *key, u64 v);
/* Bytes as lower-case hexadecimal digits, in a string. */
void json_bytes(struct json *j, const char *key, const u8 *bytes, size_t len);

#endif
