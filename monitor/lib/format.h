/* SPDX-License-Identifier: BSD-2-Clause */
/* Formatted output into buffers (stb_sprintf from Debian's libstb-dev behind it). No floats. */
#ifndef LIB_FORMAT_H
#define LIB_FORMAT_H

#include <stdarg.h>
#include "lib/types.h"

/*
 * Bytes of a reason in words, whoever gives it (bundle, engine, switch, check, agent) and wherever
 * it goes. No reason is longer with names of maximal length in it; tests/unit/test_reasons.c holds
 * them to that.
 */
#define REASON_LEN 640u

/*
 * As C11 snprintf and vsnprintf: at most `size` bytes, terminated; returns the length it would
 * need. But a text that is cut for want of room ends in "...".
 */
int format(char *buf, size_t size, const char *fmt, ...) __printf_like(3, 4);
int vformat(char *buf, size_t size, const char *fmt, va_list ap);

/* For "%.*s%s": the beginning of a string that others chose the length of, and "..." if that is not
 * all. */
#define BRIEF(s, max) (int)(max), (s), strlen(s) > (max) ? "..." : ""

#endif
