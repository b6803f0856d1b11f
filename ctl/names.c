/* SPDX-License-Identifier: BSD-2-Clause */
#include "names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <suture/payload.h>

static char plain(char c)
{
	return c == '-' ? '_' : c;
}

bool names_equal(const char *a, const char *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (plain(a[i]) != plain(b[i]))
			return false;
	return true;
}

bool names_copy(char *to, size_t size, const char *from)
{
	if (strlen(from) >= size)
		return false;
	do
		*to++ = plain(*from);
	while (*from++);
	return true;
}

bool names_parse_symbol(const char *symbol, struct wanted *w)
{
	const char *object, *name, *position;
	char *end;

	*w = (struct wanted){0};
	if (strncmp(symbol, SUTURE_SYMBOL_PREFIX, strlen(SUTURE_SYMBOL_PREFIX)) != 0)
		return snprintf(w->name, sizeof(w->name), "%s", symbol) < (int)sizeof(w->name);
	object = symbol + strlen(SUTURE_SYMBOL_PREFIX);
	name = strchr(object, '.');
	position = strrchr(object, '.');
	if (!name || name == position || name - object >= SUTURE_NAME_LEN ||
	    position - name > (long)sizeof(w->name))
		return false;
	snprintf(w->object, sizeof(w->object), "%.*s", (int)(name - object), object);
	snprintf(w->name, sizeof(w->name), "%.*s", (int)(position - name - 1), name + 1);
	w->position = strtoul(position + 1, &end, 10);
	return end != position + 1 && !*end;
}
