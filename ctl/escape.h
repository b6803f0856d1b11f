/* SPDX-License-Identifier: BSD-2-Clause */
/* Text from a guest, the network or a file is printed to a terminal without control characters. */
#ifndef CTL_ESCAPE_H
#define CTL_ESCAPE_H

#include <jansson.h>

/*
 * A copy of the text with "\x1b" and the like for control characters other than those in `keep`.
 * The caller frees it; NULL when out of memory.
 */
char *escape(const char *text, const char *keep);

/* The same for all strings in a value, in place. Keys come from the monitor, and stay. */
void escape_json(json_t *value);

/* Print a value as JSON in printable ASCII on stdout; strings keep their content, in JSON's
 * escapes. */
void print_json(const json_t *value);
/* Likewise, with more flags of json_dumps(), and without a newline. */
void print_encoded(const json_t *value, size_t flags);
/* A document of YAML. */
void print_yaml(const json_t *value);

#endif
