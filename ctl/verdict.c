/* SPDX-License-Identifier: BSD-2-Clause */
#include "verdict.h"

#include <stdarg.h>
#include <stdio.h>

static void say(const struct verdict *v, const char *kind, const char *fmt, va_list ap)
{
	fflush(stdout);
	fprintf(stderr, "suture: %s: %s", v->patch, kind);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
}

void verdict_error(struct verdict *v, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(v, v->lenient ? "warning: " : "", fmt, ap);
	va_end(ap);
	v->errors += !v->lenient;
}

void verdict_fatal(struct verdict *v, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(v, "", fmt, ap);
	va_end(ap);
	v->errors++;
}

void verdict_doubt(struct verdict *v, const char *fmt, ...)
{
	bool error = v->strict && !v->lenient;
	va_list ap;

	va_start(ap, fmt);
	say(v, error ? "" : "warning: ", fmt, ap);
	va_end(ap);
	v->errors += error;
}

void verdict_warn(struct verdict *v, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(v, "warning: ", fmt, ap);
	va_end(ap);
}

void verdict_note(struct verdict *v, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(v, "note: ", fmt, ap);
	va_end(ap);
}
