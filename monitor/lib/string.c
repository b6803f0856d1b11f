/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/string.h"

/*
 * Loops over bytes, except for those that handle pages, which take eight bytes at a time.
 * -fno-builtin keeps the compiler from replacing the loop in memcpy(), for example, by a call of
 * memcpy().
 */
#if !__STDC_HOSTED__
#include <stdint.h>

typedef uint64_t __attribute__((may_alias, aligned(1))) word_t;

void *memcpy(void *restrict dst, const void *restrict src, size_t n)
{
	unsigned char *d = dst;
	const unsigned char *s = src;

	/* Pages are copied while the guest is paused. */
	for (; n >= 8 * sizeof(word_t); n -= 8 * sizeof(word_t)) {
		const word_t *from = (const word_t *)s;
		word_t *to = (word_t *)d;

		to[0] = from[0], to[1] = from[1], to[2] = from[2], to[3] = from[3];
		to[4] = from[4], to[5] = from[5], to[6] = from[6], to[7] = from[7];
		d += 8 * sizeof(word_t), s += 8 * sizeof(word_t);
	}
	for (; n >= sizeof(word_t); n -= sizeof(word_t), d += sizeof(word_t), s += sizeof(word_t))
		*(word_t *)d = *(const word_t *)s;
	while (n--)
		*d++ = *s++;
	return dst;
}

void *memmove(void *dst, const void *src, size_t n)
{
	unsigned char *d = dst;
	const unsigned char *s = src;

	if (d <= s || d >= s + n) {
		for (; n >= sizeof(word_t); n -= sizeof(word_t))
			*(word_t *)d = *(const word_t *)s, d += sizeof(word_t), s += sizeof(word_t);
		while (n--)
			*d++ = *s++;
	} else {
		for (; n >= sizeof(word_t); n -= sizeof(word_t))
			*(word_t *)(d + n - sizeof(word_t)) =
				*(const word_t *)(s + n - sizeof(word_t));
		while (n--)
			d[n] = s[n];
	}
	return dst;
}

void *memset(void *dst, int c, size_t n)
{
	unsigned char *d = dst;
	word_t fill = 0x0101010101010101ull * (unsigned char)c;

	for (; n >= sizeof(word_t); n -= sizeof(word_t), d += sizeof(word_t))
		*(word_t *)d = fill;
	while (n--)
		*d++ = (unsigned char)c;
	return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const unsigned char *x = a, *y = b;

	/* Pages are compared while the guest is paused. */
	for (; n >= 4 * sizeof(word_t); n -= 4 * sizeof(word_t)) {
		const word_t *p = (const word_t *)x, *q = (const word_t *)y;

		if ((p[0] ^ q[0]) | (p[1] ^ q[1]) | (p[2] ^ q[2]) | (p[3] ^ q[3]))
			break;
		x += 4 * sizeof(word_t), y += 4 * sizeof(word_t);
	}
	for (; n--; x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}

void *memchr(const void *s, int c, size_t n)
{
	const unsigned char *p = s;

	for (; n--; p++)
		if (*p == (unsigned char)c)
			return (void *)(uintptr_t)p;
	return NULL;
}

size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

size_t strnlen(const char *s, size_t n)
{
	size_t i = 0;

	while (i < n && s[i])
		i++;
	return i;
}

int strcmp(const char *a, const char *b)
{
	return strncmp(a, b, SIZE_MAX);
}

int strncmp(const char *a, const char *b, size_t n)
{
	for (; n; n--, a++, b++) {
		if (*a != *b)
			return (unsigned char)*a - (unsigned char)*b;
		if (!*a)
			break;
	}
	return 0;
}

char *strcpy(char *restrict dst, const char *restrict src)
{
	return memcpy(dst, src, strlen(src) + 1);
}

char *strncpy(char *restrict dst, const char *restrict src, size_t n)
{
	size_t len = strnlen(src, n);

	memcpy(dst, src, len);
	memset(dst + len, 0, n - len);
	return dst;
}

char *strchr(const char *s, int c)
{
	for (;; s++) {
		if (*s == (char)c)
			return (char *)(uintptr_t)s;
		if (!*s)
			return NULL;
	}
}

char *strrchr(const char *s, int c)
{
	const char *last = NULL;

	do {
		if (*s == (char)c)
			last = s;
	} while (*s++);
	return (char *)(uintptr_t)last;
}

char *strstr(const char *haystack, const char *needle)
{
	size_t len = strlen(needle);

	for (;; haystack++) {
		if (!strncmp(haystack, needle, len))
			return (char *)(uintptr_t)haystack;
		if (!*haystack)
			return NULL;
	}
}

int atoi(const char *s)
{
	unsigned int v = 0;
	int negative;

	while (*s == ' ' || (*s >= '\t' && *s <= '\r'))
		s++;
	negative = *s == '-';
	if (*s == '-' || *s == '+')
		s++;
	while (*s >= '0' && *s <= '9')
		v = v * 10 + (unsigned int)(*s++ - '0');
	return (int)(negative ? 0u - v : v);
}
#endif

size_t str_copy(char *dst, const char *src, size_t size)
{
	size_t len = strlen(src);

	if (size) {
		size_t n = len < size ? len : size - 1;

		memcpy(dst, src, n);
		dst[n] = 0;
	}
	return len;
}
