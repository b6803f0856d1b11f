/* SPDX-License-Identifier: BSD-2-Clause */
/* For tests that compare names in the code with those in a document of docs/. */
#ifndef DOCUMENT_H
#define DOCUMENT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define NAME_LETTERS "abcdefghijklmnopqrstuvwxyz0123456789_"

struct names {
	char name[256][48];
	size_t count;
};

static inline bool names_have(const struct names *n, const char *name)
{
	for (size_t i = 0; i < n->count; i++)
		if (!strcmp(n->name[i], name))
			return true;
	return false;
}

static inline void names_put(struct names *n, const char *name)
{
	if (names_have(n, name))
		return;
	assert_in_range(n->count, 0, sizeof(n->name) / sizeof(n->name[0]) - 1);
	snprintf(n->name[n->count++], sizeof(n->name[0]), "%s", name);
}

/* Add each name in s that is between `before` and `after`. */
static inline void names_find(struct names *n, const char *s, const char *before, const char *after)
{
	const char *p;
	char name[sizeof(n->name[0])];

	for (p = strstr(s, before); p; p = strstr(p + 1, before)) {
		const char *start = p + strlen(before);
		size_t len = strspn(start, NAME_LETTERS);

		/* a quotation mark within a string of JSON does not begin a name */
		if (!len || len >= sizeof(name) || strncmp(start + len, after, strlen(after)) ||
		    (p > s && p[-1] == '\\'))
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)len, start);
		names_put(n, name);
	}
}

/* Print each name of a that b lacks. Returns how many there were. */
static inline size_t names_missing(const struct names *a, const struct names *b, const char *what)
{
	size_t missing = 0;

	for (size_t i = 0; i < a->count; i++) {
		if (names_have(b, a->name[i]))
			continue;
		print_error("%s: %s\n", a->name[i], what);
		missing++;
	}
	return missing;
}

/* The text of a file, by its path from the tree's top folder. */
static inline const char *document(const char *path)
{
	static char content[131072];
	FILE *f = fopen(path, "r");
	size_t len;

	if (!f)
		fail_msg("no %s: tests run in the top folder", path);
	len = fread(content, 1, sizeof(content), f);
	fclose(f);
	assert_in_range(len, 1, sizeof(content) - 1);
	content[len] = 0;
	return content;
}

#endif
