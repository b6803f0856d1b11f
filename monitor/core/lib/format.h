/* SPDX-License-Identifier: BSD-2-Clause */
/* Formatted output into buffers (stb_sprintf from Debian's libstb-dev behind it). No floats. */
#ifndef CORE_LIB_FORMAT_H
#define CORE_LIB_FORMAT_H

#include <stdarg.h>
#include "core/types.h"

/* As C11 snprintf and vsnprintf: at most `size` bytes, terminated; returns the length it would
 * need. */
int format(char *buf, size_t size, const char *fmt, ...) __printf_like(3, 4);
int vformat(char *buf, size_t size, const char *fmt, va_list ap);

#endif
