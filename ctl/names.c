/* SPDX-License-Identifier: BSD-2-Clause */
#include "names.h"

#include <string.h>

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
