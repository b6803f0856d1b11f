/* SPDX-License-Identifier: BSD-2-Clause */
#include "unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdbool.h>
#include <stdlib.h>

struct output {
	char *data;
	size_t have, room;
};

static bool grow(struct output *o)
{
	size_t room = o->room ? o->room * 2 : 1u << 20;
	char *more = room <= UNPACK_MAX ? realloc(o->data, room) : NULL;

	if (more) {
		o->data = more;
		o->room = room;
	}
	return more;
}

/* Reading beyond the last byte detects a truncated stream. */
static bool read_all(struct archive *a, struct output *o)
{
	la_ssize_t n;

	do {
		if (o->have == o->room && !grow(o))
			return false;
		n = archive_read_data(a, o->data + o->have, o->room - o->have);
		o->have += n > 0 ? (size_t)n : 0;
	} while (n > 0);
	return !n;
}

void *unpack(const void *data, size_t size, size_t expected, size_t *out_size)
{
	struct archive *a = archive_read_new();
	struct archive_entry *entry;
	struct output o = {.room = expected < UNPACK_MAX ? expected : 0};
	bool good = false;

	if (!a)
		return NULL;
	if (o.room)
		o.data = malloc(++o.room);
	if (o.data || !expected) {
		archive_read_support_filter_all(a);
		archive_read_support_format_raw(a);
		good = !archive_read_open_memory(a, data, size) &&
		       !archive_read_next_header(a, &entry) && read_all(a, &o) &&
		       (!expected || o.have == expected);
	}
	archive_read_free(a);
	if (!good) {
		free(o.data);
		return NULL;
	}
	*out_size = o.have;
	return o.data;
}
