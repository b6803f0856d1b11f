/* SPDX-License-Identifier: BSD-2-Clause */
/* The freestanding C library's string functions: C11 7.24 semantics, nothing else. */
#ifndef LIB_STRING_H
#define LIB_STRING_H

#if __STDC_HOSTED__
#include <string.h>
#else
#include <stddef.h>

void *memcpy(void *restrict dst, const void *restrict src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
void *memchr(const void *s, int c, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t n);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strcpy(char *restrict dst, const char *restrict src);
char *strncpy(char *restrict dst, const char *restrict src, size_t n);
char *strchr(const char *s, int c);
char *strrchr(const char *s, int c);
char *strstr(const char *haystack, const char *needle);
int atoi(const char *s);
#endif

/*
 * Copy the string src into dst of `size` bytes, always terminated. Returns the length of src, so
 * that a result >= size means that it was cut.
 */
size_t str_copy(char *dst, const char *src, size_t size);

#endif
