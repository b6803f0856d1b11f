/* SPDX-License-Identifier: BSD-2-Clause */
/* Formatted output into buffers (stb_sprintf from Debian's libstb-dev behind it). No floats. */
#ifndef LIB_FORMAT_H
#define LIB_FORMAT_H

#include <stdarg.h>
#include "lib/types.h"

/*
 * The size of a text that gives a reason (of bundle, engine, switch, check or agent), with its
 * terminating zero. No reason is longer, even with names of maximal length in it;
 * tests/unit/test_reasons.c checks that.
 */
#define REASON_LEN 640u

/*
 * As C11 snprintf and vsnprintf: at most `size` bytes, terminated; returns the length of the whole
 * text. Unlike them, a text that is cut ends in "...".
 */
int format(char *buf, size_t size, const char *fmt, ...) __printf_like(3, 4);
int vformat(char *buf, size_t size, const char *fmt, va_list ap);

/*
 * Arguments for "%.*s%s": at most `max` bytes of a string of unknown length, and "..." if it is
 * cut.
 */
#define BRIEF(s, max) (int)(max), (s), strlen(s) > (max) ? "..." : ""

#endif
