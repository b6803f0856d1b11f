/* SPDX-License-Identifier: BSD-2-Clause */
#include "lib/format.h"
#include "lib/string.h"

#define STB_SPRINTF_IMPLEMENTATION
#define STB_SPRINTF_STATIC
#define STB_SPRINTF_NOFLOAT
#define STB_SPRINTF_NOUNALIGNED
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wimplicit-fallthrough"
/* The monitor has general registers alone, and arm64's compiler does not even skip a double. */
#define double long long
#include <stb/stb_sprintf.h>
#undef double
#pragma GCC diagnostic pop

int vformat(char *buf, size_t size, const char *fmt, va_list ap)
{
	static const char cut[] = "...";
	int n = stbsp_vsnprintf(buf, size > INT32_MAX ? INT32_MAX : (int)size, fmt, ap);

	if (n >= 0 && (size_t)n >= size && size >= sizeof(cut))
		memcpy(buf + size - sizeof(cut), cut, sizeof(cut));
	return n;
}

int format(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vformat(buf, size, fmt, ap);
	va_end(ap);
	return n;
}
