/* SPDX-License-Identifier: BSD-2-Clause */
#include "exports.h"
#include "ctl.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SYMVERS_MAX (64u << 20)

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static size_t count_lines(const char *text)
{
	size_t n = 0;

	while ((text = strchr(text, '\n')) != NULL)
		n++, text++;
	return n;
}

/* Lines are CHECKSUM, a tab, NAME, a tab and more. */
static void split(struct exports *e)
{
	char *line = e->text, *name, *next;

	for (; *line; line = next) {
		next = line + strcspn(line, "\n");
		if (*next)
			*next++ = 0;
		name = strchr(line, '\t');
		if (!name)
			continue;
		*name++ = 0;
		name[strcspn(name, "\t")] = 0;
		e->names[e->count++] = name;
	}
}

int exports_read(struct exports *e, const char *path)
{
	size_t size;

	*e = (struct exports){0};
	if (access(path, R_OK))
		return -1;
	e->text = read_file(path, SYMVERS_MAX, &size);
	if (!e->text)
		return -1;
	e->names = calloc(count_lines(e->text) + 1, sizeof(*e->names));
	if (!e->names) {
		exports_free(e);
		return -1;
	}
	split(e);
	qsort(e->names, e->count, sizeof(*e->names), by_name);
	return 0;
}

void exports_free(struct exports *e)
{
	free(e->text);
	free(e->names);
	*e = (struct exports){0};
}

bool exports_has(const struct exports *e, const char *name)
{
	return e->count && bsearch(&name, e->names, e->count, sizeof(name), by_name);
}
