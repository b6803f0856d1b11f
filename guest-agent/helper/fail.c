// SPDX-License-Identifier: GPL-2.0-only
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "helper.h"

int fail(struct failure *f, int err, const char *fmt, ...)
{
	va_list args;
	int length;

	va_start(args, fmt);
	length = vsnprintf(f->text, sizeof(f->text), fmt, args);
	va_end(args);
	if (length >= (int)sizeof(f->text))
		strcpy(f->text + sizeof(f->text) - 4, "...");
	return err;
}
