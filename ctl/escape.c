/* SPDX-License-Identifier: BSD-2-Clause */
#include "escape.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Bytes of the control character that s begins with, 0 if it is none. Terminals treat
 * those from U+0080 to U+009F in UTF-8 like sequences that begin with ESC.
 */
static size_t control(const unsigned char *s)
{
	if (s[0] < ' ' || s[0] == 0x7f)
		return 1;
	return s[0] == 0xc2 && s[1] >= 0x80 && s[1] < 0xa0 ? 2 : 0;
}

char *escape(const char *text, const char *keep)
{
	const unsigned char *s = (const unsigned char *)text;
	char *out = malloc(4 * strlen(text) + 1), *to = out;

	if (!out)
		return NULL;
	while (*s) {
		size_t len = strchr(keep, *s) ? 0 : control(s);

		if (!len)
			*to++ = (char)*s++;
		else
			to += sprintf(to, "\\x%02x", s[len - 1]);
		s += len;
	}
	*to = 0;
	return out;
}

void escape_json(json_t *value)
{
	const char *key;
	json_t *member;
	size_t i;
	char *text;

	if (json_is_string(value)) {
		text = escape(json_string_value(value), "");
		json_string_set(value, text ? text : "?");
		free(text);
	} else if (json_is_array(value)) {
		json_array_foreach(value, i, member) escape_json(member);
	} else if (json_is_object(value)) {
		json_object_foreach(value, key, member) escape_json(member);
	}
}

void print_encoded(const json_t *value, size_t flags)
{
	char *text = json_dumps(value, flags | JSON_ENSURE_ASCII | JSON_ENCODE_ANY);

	for (const char *s = text; s && *s; s++)
		if (*s == 0x7f) /* which the library takes for a letter */
			fputs("\\u007f", stdout);
		else
			putchar(*s);
	free(text);
}

void print_json(const json_t *value)
{
	print_encoded(value, JSON_INDENT(2));
	putchar('\n');
}
