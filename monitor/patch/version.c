/* SPDX-License-Identifier: BSD-2-Clause */
#include "patch/version.h"
#include "lib/string.h"
#include "lib/types.h"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The length of the number at *s, whose leading zeros are skipped. */
static size_t number_length(const char **s)
{
	size_t n = 0;

	while (**s == '0')
		++*s;
	while (is_digit((*s)[n]))
		n++;
	return n;
}

int version_compare(const char *a, const char *b)
{
	while (*a && *b) {
		size_t n, m;
		int order;

		if (!is_digit(*a) || !is_digit(*b)) {
			if (*a != *b)
				return (u8)*a - (u8)*b;
			a++;
			b++;
			continue;
		}
		n = number_length(&a);
		m = number_length(&b);
		if (n != m)
			return n < m ? -1 : 1;
		order = memcmp(a, b, n);
		if (order)
			return order;
		a += n;
		b += m;
	}
	return (u8)*a - (u8)*b;
}
